#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod breaker;
mod clock;
mod config;
mod delivery;
mod digits;
mod dispatcher;
mod endpoint;
mod entry;
mod event;
mod host;
pub mod http;
mod json;
mod json_text;
mod message_id;
mod payload;
mod policy;
mod queue;
mod retry;
mod retry_after;
mod serialize;
mod signature;
mod state;
mod stats;
mod timestamp;
mod transport;
mod waker_set;
mod worker;

pub use breaker::{
    Admission, Breaker, BreakerState, CIRCUIT_COOLDOWN, CIRCUIT_OPEN_THRESHOLD, Permit,
};
pub use clock::{Clock, Instant};
pub use config::{
    Config, ConfigError, DRAIN_TIMEOUT, HTTP_TIMEOUT, MAX_EVENT_BYTES, OnFull, OnOpen,
    QUEUE_CAPACITY,
};
pub use delivery::{After, Delivery, Fate, Next};
pub use dispatcher::{Dispatcher, Seen};
pub use endpoint::{Endpoint, EndpointBuf, EndpointError, Host, Scheme};
pub use event::{Data, EmitError, Event, Json};
pub use json::{EncodeError, to_json};
pub use message_id::{MESSAGE_ID_HEADER, MessageId};
pub use payload::BATCH_HEADER;
pub use policy::{Policy, Refusal};
pub use retry::{Backoff, INITIAL_BACKOFF, MAX_RETRIES, RETRY_AFTER_MAX, RETRY_AFTER_WAIT};
pub use retry_after::RetryAfter;
pub use signature::{SIGNATURE_HEADER, Secret, Signature};
pub use stats::Stats;
pub use timestamp::Timestamp;
pub use transport::{ErrorKind, Message, Reply, SendTransport, Transport, TransportError, Verdict};
pub use worker::{Notice, Observer, run};

#[cfg(test)]
extern crate std;
