//! How events become the body of a message.

pub(crate) mod pilot;
