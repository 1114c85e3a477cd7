//! The body of a POST, byte for byte:
//!
//! `{"event_id":1,"event":"...","node_id":2,"timestamp":"...","data":...}`,
//!
//! and a batch's, which is an array of these.
//!
//! An event is encoded in two parts. The tail, from `,"event"` on, is all that takes time, and is
//! made outside the dispatcher's lock; the head holds the event's id, which is given under it.

use crate::event::sealed::Encode;
use crate::json::{EncodeError, Writer};
use crate::{Data, Event};

/// The header that tells how many events there are in the array that is a batch's body.
pub const BATCH_HEADER: &str = "X-Pilot-Batch";
/// The longest `u64`.
pub(crate) const DIGITS: usize = 20;
/// The longest head: `{"event_id":` and an id.
pub(crate) const HEAD: usize = 12 + DIGITS;

/// Encodes everything but the id into `scratch`.
pub(crate) fn tail<'s, D: Data + ?Sized>(
    event: &Event<'_>,
    data: &D,
    scratch: &'s mut [u8],
) -> Result<&'s [u8], EncodeError> {
    let mut out = Writer::new(scratch);
    out.push(b",\"event\":")?;
    out.string(event.topic)?;
    out.push(b",\"node_id\":")?;
    out.integer(event.node_id.into())?;
    out.push(b",\"timestamp\":\"")?;
    let mut time = [0; 30];
    let length = event.timestamp.write(&mut time);
    out.push(&time[..length])?;
    out.push(b"\"")?;
    let before_data = out.written().len();
    out.push(b",\"data\":")?;
    let data_start = out.written().len();
    Encode::encode(data, &mut out)?;
    if out.written().get(data_start..) == Some(b"null") {
        out.truncate(before_data);
    }
    out.push(b"}")?;
    let length = out.written().len();
    Ok(scratch.get(..length).unwrap_or_default())
}

/// Writes the head into `out` and returns its length.
pub(crate) fn head(event_id: u64, out: &mut [u8; HEAD]) -> usize {
    let mut writer = Writer::new(out);
    // Both fit: HEAD is their longest.
    let _ = writer.push(b"{\"event_id\":");
    let _ = writer.integer(event_id);
    writer.written().len()
}

/// A number as text.
pub(crate) fn decimal(number: u64, out: &mut [u8; DIGITS]) -> &str {
    let mut writer = Writer::new(out);
    // It fits, and digits are text.
    let _ = writer.integer(number);
    let length = writer.written().len();
    core::str::from_utf8(&out[..length]).unwrap_or_default()
}
