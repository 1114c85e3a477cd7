// The example there needs both.
#![cfg_attr(all(feature = "embassy-net", feature = "tls"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "embassy-net", feature = "tls")),
    doc = "The pilot webhook's transport for microcontrollers."
)]
#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
#[cfg(feature = "embassy-net")]
mod dhcp;
mod dial;
mod dialogue;
mod error;
mod fmt;
mod line;
mod link;
#[cfg(feature = "embassy-net")]
mod look_up;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "embassy-net")]
mod net;
#[cfg(feature = "embassy-net")]
mod node;
#[cfg(feature = "dns-servers")]
mod other_servers;
mod request;
#[cfg(feature = "roots")]
mod roots;
#[cfg(feature = "sntp")]
mod sntp;
#[cfg(feature = "_https")]
mod tls;
mod transport;
mod wire;

pub use clock::{EmbassyClock, WallClock, WallTime};
#[cfg(feature = "embassy-net")]
pub use dhcp::DhcpGuard;
pub use error::Error;
#[cfg(feature = "nats")]
pub use nats::NatsTransport;
#[cfg(feature = "embassy-net")]
pub use net::{SocketConnection, SocketNet};
#[cfg(feature = "embassy-net")]
pub use node::{Options, Resources, Runner, SetError, Target, TlsResources, Webhook, new};
#[cfg(all(feature = "embassy-net", feature = "_https"))]
pub use node::{TlsMemory, TlsRunner};
#[cfg(feature = "roots")]
pub use roots::ROOTS;
#[cfg(feature = "sntp")]
pub use sntp::{Sntp, SntpConfig, SntpError};
#[cfg(feature = "tls")]
pub use tls::Tls;
#[cfg(feature = "_https")]
pub use tls::{Algorithm, CertificateFault, Limit, TlsBuffers, TlsClient, TlsFailure, UnknownTime};
#[cfg(feature = "rustls")]
pub use tls::{ClientIdentity, Rustls};
pub use transport::{Buffers, NodeTransport};

// What a webhook's options and answers are made of: nobody needs a second dependency for it.
pub use pilot_webhook_core::http::HeaderError;
pub use pilot_webhook_core::{
    CloudEvents, CloudEventsBinaryFormat, CloudEventsError, CloudEventsFormat, Config, Data,
    EmitError, EncodeError, EndpointError, Event, FixedHeaders, Format, Json, Notice, Observer,
    OnFull, OnOpen, PilotFormat, PilotGoFormat, Policy, Rate, Refusal, Schedule, Secret, Signer,
    Stats, Timestamp, standard,
};

#[cfg(all(feature = "nats", feature = "ed25519"))]
pub use pilot_webhook_core::nats::{
    Credentials as NatsCredentials, PublicKey as NatsPublicKey, Seed as NatsSeed,
    SeedError as NatsSeedError,
};
#[cfg(feature = "nats")]
pub use pilot_webhook_core::nats::{Fault as NatsFault, Login as NatsLogin};

#[cfg(feature = "_https")]
pub use rand_core::{CryptoRng, CryptoRngCore};

#[cfg(feature = "rustls")]
extern crate alloc;

#[cfg(test)]
extern crate std;
