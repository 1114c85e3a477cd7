//! Why a hub refused a change.

use std::fmt;

use crate::client::ClientError;
#[cfg(feature = "outbox")]
use crate::outbox::OutboxError;

/// Why a [`Hub`](crate::Hub) refused a change. Nothing changed then.
#[derive(Debug)]
#[non_exhaustive]
pub enum HubError {
    /// A name is from 1 to 64 letters, digits, `-` and `_`, all of ASCII and in lower case. Choose another one.
    Name,
    /// There is an endpoint of this name. Replace it, or choose another name.
    Exists,
    /// There is no endpoint of this name. Add it.
    Unknown,
    /// The endpoint's options cannot be used. The operator corrects them.
    Client(ClientError),
    /// The outbox cannot take the endpoint.
    #[cfg(feature = "outbox")]
    Outbox(OutboxError),
    /// The client has an outbox of its own. Give it to [`Hub::with_outbox`](crate::Hub::with_outbox).
    #[cfg(feature = "outbox")]
    OwnOutbox,
    /// The hub is closed.
    Closed,
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => {
                f.write_str("the name of an endpoint is from 1 to 64 of a-z, 0-9, - and _")
            }
            Self::Exists => f.write_str("there is an endpoint of this name already"),
            Self::Unknown => f.write_str("there is no endpoint of this name"),
            Self::Client(error) => error.fmt(f),
            #[cfg(feature = "outbox")]
            Self::Outbox(error) => error.fmt(f),
            #[cfg(feature = "outbox")]
            Self::OwnOutbox => f.write_str("the outbox is the hub's, and not its endpoints'"),
            Self::Closed => f.write_str("the hub is closed"),
        }
    }
}

impl std::error::Error for HubError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Client(error) => Some(error),
            #[cfg(feature = "outbox")]
            Self::Outbox(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(feature = "outbox")]
impl From<OutboxError> for HubError {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}

impl From<ClientError> for HubError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}
