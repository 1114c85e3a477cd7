//! The client: the engine put together on tokio, with the options and the methods a daemon calls.

mod builder;
mod clock;
mod handle;
mod observer;
mod raw_mutex;
pub(crate) mod scratch;
mod throttle;

pub use builder::{ClientBuilder, ClientError, MAX_EVENT_BYTES};
pub use clock::TokioClock;
pub use handle::{Client, MAX_URL};
pub use raw_mutex::StdRawMutex;
