#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod builder;
mod client;
mod clock;
mod config;
mod connection;
mod dial;
mod error;
mod meter;
mod observer;
mod raw_mutex;
mod request;
mod resolve;
mod scratch;
mod stream;
mod throttle;
mod tls;
mod transport;

pub use builder::{ClientBuilder, ClientError, MAX_EVENT_BYTES};
pub use client::{Client, MAX_URL};
pub use clock::TokioClock;
pub use config::{HttpConfig, HttpShared};
pub use error::HttpError;
pub use raw_mutex::StdRawMutex;
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use tls::HttpConfigError;
pub use transport::{HttpTransport, USER_AGENT};
