//! An option that cannot be used, and why.

use std::fmt::Display;

use crate::Failure;

/// What is wrong with an option. `what` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The option, as the key of a configuration.
    pub(crate) key: &'static str,
    pub(crate) what: String,
}

impl Wrong {
    pub(crate) fn new(key: &'static str, what: impl Display) -> Self {
        Self { key, what: what.to_string() }
    }
}

/// On the command line.
impl From<Wrong> for Failure {
    fn from(Wrong { key, what }: Wrong) -> Self {
        Self::usage(format!("--{}: {what}", key.replace('_', "-")))
    }
}
