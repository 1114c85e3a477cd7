//! Why a webhook refuses a setting.

use core::fmt;

use pilot_webhook_core::EndpointError;

/// Why a URL or a secret was refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetError {
    /// The webhook is closed.
    Closed,
    /// The secret is empty. A missing setting must not turn signing off.
    EmptySecret,
    /// The URL is no endpoint. The operator corrects it.
    Endpoint(EndpointError),
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the webhook is closed"),
            Self::EmptySecret => f.write_str("the secret is empty"),
            Self::Endpoint(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SetError {}
