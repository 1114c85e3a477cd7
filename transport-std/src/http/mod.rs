//! The HTTP transport: one POST at a time over tokio and rustls.

mod attempt;
mod config;
mod connect;
mod connection;
mod connections;
#[cfg(feature = "reqwest")]
mod current;
mod dial;
mod error;
mod handshake;
mod headers;
mod heard;
mod identity;
mod known;
mod look_ups;
mod pinned;
mod race;
mod report;
mod request;
mod resolve;
mod stream;
mod tls;
mod transport;
mod trust;

#[cfg(feature = "reqwest")]
pub(crate) use attempt::Attempt;
#[cfg(feature = "reqwest")]
pub(crate) use config::Shared;
pub use config::{HttpConfig, HttpShared};
pub use connections::Connections;
#[cfg(feature = "reqwest")]
pub(crate) use current::config as config_now;
#[cfg(feature = "reqwest")]
pub(crate) use dial::allowed;
pub use error::HttpError;
#[cfg(feature = "reqwest")]
pub(crate) use handshake::{REQUEST_ORIGIN, REQUEST_RATE};
pub use headers::RequestHeaders;
pub use report::HttpReport;
#[cfg(feature = "gzip")]
pub(crate) use request::GZIP;
pub use request::USER_AGENT;
#[cfg(feature = "reqwest")]
pub(crate) use request::encoding;
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use tls::HttpConfigError;
pub use transport::HttpTransport;
#[cfg(feature = "nats")]
pub(crate) use trust::Trust;
