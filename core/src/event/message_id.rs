//! The name of a message, unique for all time.

use core::fmt;

use crate::json::{EncodeError, Writer};

/// The header that carries a message's id.
pub const MESSAGE_ID_HEADER: &str = "X-Pilot-Message-Id";

/// Names a message, which is one event or a batch, the same way in every attempt, and no other
/// message ever. Receivers recognise a repeated delivery by it.
///
/// Its text is `<node>-<instance>-<event_id>`, and for a batch
/// `<node>-<instance>-<first event_id>-<last event_id>-<events>`: decimal numbers, but for the
/// instance, which is 16 hexadecimal digits. A body's `event_id` begins at 1 with every start; the
/// instance is the seed of one start, so that the same `event_id` of another start has another name.
///
/// ```
/// use pilot_webhook_core::MessageId;
/// let id = MessageId { node_id: 7, instance: 0x9f86_d081_884c_7d65, first: 42, last: 42, events: 1 };
/// assert_eq!(id.to_string(), "7-9f86d081884c7d65-42");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId {
    /// The node that the first event is from.
    pub node_id: u32,
    /// The seed that the dispatcher was made with.
    pub instance: u64,
    /// The id of the first event.
    pub first: u64,
    /// The id of the last event: of one event, the same.
    pub last: u64,
    /// How many events there are.
    pub events: u32,
}

impl MessageId {
    /// The longest text, in bytes: numbers of 10, 16, 20, 20 and 10 digits, and what joins them.
    pub const LENGTH: usize = 80;

    /// Writes the text.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] when it does not fit.
    pub fn write_to(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.integer(self.node_id.into())?;
        out.push(b"-")?;
        out.hex(&self.instance.to_be_bytes())?;
        out.push(b"-")?;
        out.integer(self.first)?;
        if self.events > 1 {
            out.push(b"-")?;
            out.integer(self.last)?;
            out.push(b"-")?;
            out.integer(self.events.into())?;
        }
        Ok(())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Self::LENGTH];
        let mut writer = Writer::new(&mut text);
        self.write_to(&mut writer).map_err(|_| fmt::Error)?;
        f.write_str(core::str::from_utf8(writer.finish()).unwrap_or_default())
    }
}
