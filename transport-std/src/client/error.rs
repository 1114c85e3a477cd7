//! Why a client could not be built, or refused a setting.

use std::fmt;

use pilot_webhook_core::ConfigError;
#[cfg(feature = "outbox")]
use pilot_webhook_core::EncodeError;
use pilot_webhook_core::http::HeaderError;
use pilot_webhook_core::standard::KeyError;

use crate::client::destination::DestinationError;
use crate::client::engine::MAX_IN_FLIGHT;
use crate::http::HttpConfigError;
#[cfg(feature = "nats")]
use crate::nats::NatsConfigError;
#[cfg(feature = "outbox")]
use crate::outbox::PutError;

/// Why a client could not be built, or refused a setting.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL is not an endpoint. The operator corrects it.
    Url(DestinationError),
    /// An option is out of its range.
    Config(ConfigError),
    /// More POSTs in flight than 64, or none.
    MaxInFlight,
    /// The secret is empty.
    EmptySecret,
    /// There are too many keys to sign with.
    Key(KeyError),
    /// A header cannot be added to requests.
    Header(HeaderError),
    /// The CA file cannot be used.
    Http(HttpConfigError),
    /// A file of the options for NATS cannot be used.
    #[cfg(feature = "nats")]
    Nats(NatsConfigError),
    /// The memory for the queue could not be allocated.
    Memory,
    /// `build` was called outside of a tokio runtime.
    NoRuntime,
    /// The client is closed.
    Closed,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::MaxInFlight => {
                write!(f, "the POSTs in flight must be from 1 to {MAX_IN_FLIGHT}")
            }
            Self::EmptySecret => f.write_str("the secret is empty"),
            Self::Key(error) => error.fmt(f),
            Self::Header(error) => error.fmt(f),
            Self::Http(error) => error.fmt(f),
            #[cfg(feature = "nats")]
            Self::Nats(error) => error.fmt(f),
            Self::Memory => f.write_str("there is no memory for a queue of that capacity"),
            Self::NoRuntime => f.write_str("a client must be built within a tokio runtime"),
            Self::Closed => f.write_str("the webhook is closed"),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<DestinationError> for ClientError {
    fn from(error: DestinationError) -> Self {
        Self::Url(error)
    }
}

impl From<ConfigError> for ClientError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

#[cfg(feature = "nats")]
impl From<NatsConfigError> for ClientError {
    fn from(error: NatsConfigError) -> Self {
        Self::Nats(error)
    }
}

impl From<HeaderError> for ClientError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl From<HttpConfigError> for ClientError {
    fn from(error: HttpConfigError) -> Self {
        Self::Http(error)
    }
}

/// Why an event is not stored. It is in no counter.
#[cfg(feature = "outbox")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// The client has no outbox. Give it one with [`ClientBuilder::outbox`](crate::ClientBuilder::outbox), or emit the
    /// event, which is then kept in memory only.
    NoOutbox,
    /// It cannot be encoded, or is too long. Correct the data.
    Payload(EncodeError),
    /// The outbox did not take it, or was closed before it was on disk.
    Outbox(PutError),
}

#[cfg(feature = "outbox")]
impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOutbox => f.write_str(
                "the client has no outbox to store events in: give it one with ClientBuilder::outbox",
            ),
            Self::Payload(error) => error.fmt(f),
            Self::Outbox(error) => error.fmt(f),
        }
    }
}

#[cfg(feature = "outbox")]
impl std::error::Error for StoreError {}

#[cfg(feature = "outbox")]
impl From<EncodeError> for StoreError {
    fn from(error: EncodeError) -> Self {
        Self::Payload(error)
    }
}

#[cfg(feature = "outbox")]
impl From<PutError> for StoreError {
    fn from(error: PutError) -> Self {
        Self::Outbox(error)
    }
}
