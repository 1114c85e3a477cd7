#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod ascii;
mod base64;
mod clock;
mod destination;
mod engine;
mod event;
mod format;
pub mod http;
mod json;
#[cfg(feature = "nats")]
pub mod nats;
mod queue;
mod sign;
mod transport;

pub use clock::{Clock, Instant};
pub use destination::{Endpoint, EndpointBuf, EndpointError, Host, Policy, Refusal, Scheme};
pub use engine::breaker::{
    Admission, Breaker, BreakerState, CIRCUIT_COOLDOWN, CIRCUIT_OPEN_THRESHOLD, Permit,
};
pub use engine::config::{
    Config, ConfigError, DRAIN_TIMEOUT, HTTP_TIMEOUT, LongWaits, MAX_EVENT_BYTES, OnFull, OnOpen,
    QUEUE_CAPACITY,
};
pub use engine::delivery::{After, Delivery, Fate, Next, Tried};
pub use engine::dispatcher::{Dispatcher, Seen};
pub use engine::observer::{Notice, Observer};
pub use engine::rate::Rate;
pub use engine::retry::{
    Backoff, INITIAL_BACKOFF, LOCAL_ATTEMPTS, MAX_RETRIES, POISON_ROUNDS, RETRY_AFTER_MAX,
    RETRY_AFTER_WAIT,
};
pub use engine::schedule::Schedule;
pub use engine::stats::{Backlog, Stats};
pub use engine::worker::{Encoding, run};
#[cfg(feature = "traceparent")]
pub use event::TraceContext;
pub use event::{Data, EmitError, Event, Json, MESSAGE_ID_HEADER, MessageId, Timestamp, to_json};
pub use format::Format;
pub use format::cloudevents::{
    CloudEvents, CloudEventsBinaryFormat, CloudEventsError, CloudEventsFormat,
};
pub use format::go::PilotGoFormat;
pub use format::pilot::{BATCH_HEADER, PilotFormat};
pub use json::{EncodeError, Writer};
pub use queue::{Bound, EventRef, Events, Text};
pub use sign::{
    FixedHeaders, SIGNATURE_HEADER, Secret, SecretCell, Signature, Signer, ToSign, VerifyError,
    standard, verify,
};
pub use transport::{
    ErrorKind, Headers, Message, Reply, RetryAfter, SendTransport, Transport, TransportError,
    Verdict,
};

#[cfg(test)]
extern crate std;
