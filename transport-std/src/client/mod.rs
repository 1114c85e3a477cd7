//! The client: the engine put together on tokio, with the options and the methods a daemon calls.

pub(crate) mod builder;
pub(crate) mod clock;
pub(crate) mod destination;
#[cfg(feature = "outbox")]
mod durable;
mod engine;
pub(crate) mod error;
#[cfg(feature = "gzip")]
mod gzip;
pub(crate) mod handle;
mod observer;
mod pages;
mod pausing;
mod raw_mutex;
mod receipts;
pub(crate) mod scratch;
mod source;
pub(crate) mod trace;
mod url_text;
mod waiting;
mod within;
mod worker;

pub use builder::{ClientBuilder, MAX_EVENT_BYTES, Over, OverHttp};
pub use clock::TokioClock;
pub use destination::{Destination, DestinationError};
#[cfg(feature = "outbox")]
pub(crate) use durable::{checked, emit_error, stored};
pub use error::ClientError;
#[cfg(feature = "outbox")]
pub use error::StoreError;
pub(crate) use handle::told;
#[cfg(feature = "outbox")]
pub(crate) use handle::when_stored;
pub use handle::{Client, HttpTarget, MAX_URL};
pub use raw_mutex::StdRawMutex;
pub(crate) use scratch::Scratch;
#[cfg(feature = "outbox")]
pub(crate) use scratch::scratch_bytes;
pub(crate) use source::Owed;
pub use source::{Ending, Incoming, Receipt, Source};
pub use worker::Target;
