//! Delivery into a NATS JetStream stream, instead of over HTTP.
//!
//! Each event becomes a message of the subject `PREFIX.<node id>.<topic>`, with the message's id as
//! `Nats-Msg-Id`. It is delivered when the server has stored it, which the server says.

mod config;
mod error;
mod link;
mod refusal;
mod target;
mod transport;

pub use config::{NatsConfig, NatsConfigError, NatsShared};
pub use error::NatsError;
pub use target::{NatsTarget, NatsTargetError};
pub use transport::NatsTransport;
