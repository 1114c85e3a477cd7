//! Why a hub refused a change.

use std::fmt;

use crate::client::ClientError;

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
            Self::Closed => f.write_str("the hub is closed"),
        }
    }
}

impl std::error::Error for HubError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Client(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ClientError> for HubError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}
