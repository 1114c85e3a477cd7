//! What a node answers when it is used wrongly.

use core::fmt;

use pilot_webhook_core::{ConfigError, EndpointError};

/// Why a node did not start. The author of the program corrects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The config breaks a rule.
    Config(ConfigError),
    /// It was started before.
    Started,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Started => f.write_str("the webhook was started before"),
        }
    }
}

impl core::error::Error for StartError {}

/// Why a node does not run. The author of the program corrects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// `start` comes first.
    NotStarted,
    /// It runs already: its buffers serve one worker.
    Running,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotStarted => "the webhook was not started",
            Self::Running => "the webhook is running already",
        })
    }
}

impl core::error::Error for RunError {}

/// Why a URL was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// `start` comes first. The author of the program corrects it.
    NotStarted,
    /// The node is closed.
    Closed,
    /// The URL is no endpoint. The operator corrects it.
    Endpoint(EndpointError),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => f.write_str("the webhook was not started"),
            Self::Closed => f.write_str("the webhook is closed"),
            Self::Endpoint(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for UrlError {}
