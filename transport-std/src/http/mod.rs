//! The HTTP transport: one POST at a time over tokio and rustls.

mod attempt;
mod config;
mod connect;
mod connection;
mod dial;
mod error;
mod headers;
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

pub use config::{HttpConfig, HttpShared};
pub use error::HttpError;
pub use headers::RequestHeaders;
pub use report::HttpReport;
pub use request::USER_AGENT;
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use tls::HttpConfigError;
pub use transport::HttpTransport;
#[cfg(feature = "nats")]
pub(crate) use trust::Trust;
