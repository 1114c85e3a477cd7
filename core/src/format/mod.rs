//! How events become the body of a message.

use crate::json::{EncodeError, Writer};
use crate::queue::{Bound, Events};
use crate::transport::Headers;

pub(crate) mod cloudevents;
pub(crate) mod go;
pub(crate) mod pilot;

/// Turns events into the body and the headers of a message. It is chosen for an endpoint when its
/// workers start ([`Encoding`](crate::Encoding)), and is not linked when nobody names it.
///
/// An event is encoded when it is sent, outside every lock. Its topic and data are JSON already.
pub trait Format: Sync {
    /// The longest body it makes.
    fn bound(&self) -> Bound;

    /// Writes the body. The room is as long as [`bound`](Self::bound) says.
    ///
    /// # Errors
    /// When it is longer than the bound, which is a mistake of the format: the events are settled as
    /// oversize.
    fn encode(&self, events: &Events<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// Adds the headers that belong to the body, `Content-Type` among them.
    fn headers<'h>(&'h self, events: &Events<'h>, headers: &mut Headers<'h>);

    /// Whether it puts several events into one message. For one that does not, a config with batches is an
    /// error ([`Config::validate_for`](crate::Config::validate_for)).
    fn has_batches(&self) -> bool {
        true
    }
}
