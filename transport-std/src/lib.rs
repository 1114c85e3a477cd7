#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod clock;
mod config;
mod connection;
mod dial;
mod error;
mod meter;
mod pinned;
mod request;
mod resolve;
mod stream;
mod tls;
mod transport;

pub use clock::TokioClock;
pub use config::{HttpConfig, HttpShared};
pub use error::HttpError;
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use tls::HttpConfigError;
pub use transport::{HttpTransport, USER_AGENT};
