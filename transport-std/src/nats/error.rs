//! What a server's answers mean, and why there was none.

use std::error::Error;
use std::fmt;

use async_nats::jetstream;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::{ConnectError, ConnectErrorKind};
use pilot_webhook_core::nats::{self, NO_STREAM, TOO_LARGE};
use pilot_webhook_core::{ErrorKind, Reply, TransportError, Verdict};

use crate::http::HttpConfigError;

/// Why a publication brought no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum NatsError {
    /// The trusted certificates cannot be read.
    Trust(HttpConfigError),
    /// There was no connection to begin with.
    Connect(ConnectError),
    /// The connection is lost, and the library makes a new one. With what it said last.
    Away(String),
    /// The connection broke after the message was handed to it.
    Disconnected,
    /// The server does not let this user publish to the subject, or receive the answer; in its words. The operator gives
    /// the user both permissions.
    Permission(String),
    /// The message could not be handed to the library, or its answer not be read.
    Publish(PublishError),
}

/// What the end of a publication means: an answer of the server, or none.
pub(crate) fn judge(error: PublishError) -> Result<Reply, NatsError> {
    use PublishErrorKind::{MaxPayloadExceeded, Other, StreamNotFound};
    match error.kind() {
        // The stream may be made later; until then, nobody has the event.
        StreamNotFound => Ok(Reply { verdict: Verdict::Later(None), code: NO_STREAM }),
        MaxPayloadExceeded => Ok(Reply { verdict: Verdict::TooLarge, code: TOO_LARGE }),
        Other => match api_error(&error) {
            Some(code) => Ok(nats::judge(u32::try_from(code.0).unwrap_or(u32::MAX))),
            None => Err(NatsError::Publish(error)),
        },
        PublishErrorKind::BrokenPipe => Err(NatsError::Disconnected),
        _ => Err(NatsError::Publish(error)),
    }
}

fn api_error(error: &PublishError) -> Option<ErrorCode> {
    let source = error.source()?;
    source.downcast_ref::<jetstream::Error>().map(jetstream::Error::error_code)
}

impl TransportError for NatsError {
    fn kind(&self) -> ErrorKind {
        use ConnectErrorKind::{Authentication, AuthorizationViolation, Dns, TimedOut, Tls};
        match self {
            Self::Connect(error) => match error.kind() {
                Dns => ErrorKind::Resolve,
                Tls | Authentication | AuthorizationViolation => ErrorKind::Tls,
                TimedOut => ErrorKind::Timeout,
                _ => ErrorKind::Connect,
            },
            Self::Trust(_) => ErrorKind::Tls,
            Self::Away(_) => ErrorKind::Connect,
            Self::Disconnected => ErrorKind::Disconnected,
            // It may be for this subject alone.
            Self::Permission(_) | Self::Publish(_) => ErrorKind::Protocol,
        }
    }
}

impl fmt::Display for NatsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trust(error) => error.fmt(f),
            Self::Connect(error) => match error.kind() {
                ConnectErrorKind::AuthorizationViolation => f.write_str(
                    "the NATS server refuses the credentials, or wants some: check the credentials file",
                ),
                _ => write!(f, "no connection to the NATS server: {error}"),
            },
            Self::Away(why) => write!(f, "the connection to the NATS server is lost: {why}"),
            Self::Disconnected => f.write_str("the connection broke before the server's answer"),
            Self::Permission(why) => write!(
                f,
                "the NATS server permits this user no publication to the subject, or no answer to its inbox: {why}"
            ),
            Self::Publish(error) => write!(f, "the message was not published: {error}"),
        }
    }
}

impl Error for NatsError {}
