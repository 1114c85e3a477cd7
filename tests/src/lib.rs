//! Test servers, and the scenarios that every transport is tested with.
//!
//! A [`Scenario`] is data: what a raw loopback server does, what is posted to it, and what the
//! result must be. [`scenarios`] is the list, and [`run_all`] plays it to any
//! [`Transport`](pilot_webhook_core::Transport):
//!
//! ```no_run
//! use pilot_webhook_core::ErrorKind;
//! use pilot_webhook_tests::{Abilities, run_all};
//! # struct Mine;
//! # impl pilot_webhook_core::Transport<pilot_webhook_tests::Url> for Mine {
//! #     type Error = ErrorKind;
//! #     async fn send(
//! #         &mut self,
//! #         _: &pilot_webhook_tests::Url,
//! #         _: &pilot_webhook_core::Message<'_>,
//! #     ) -> Result<pilot_webhook_core::Reply, ErrorKind> {
//! #         Err(ErrorKind::Timeout)
//! #     }
//! # }
//! # async fn test() {
//! run_all(Abilities::ALL, |setup| {
//!     let _ = (setup.policy, &setup.ca_pem, setup.names);
//!     Mine
//! })
//! .await;
//! # }
//! ```
//!
//! The tables of `core/tests/data` are played in the same manner ([`conformance`]), and receivers that are
//! hostile ([`hostile`]), both through the real worker loop ([`deliver`]).
//!
//! Beside that: certificates right and wrong ([`pki`]), chains as public receivers have them ([`public`]), TLS
//! servers that others wrote ([`real_tls`]), a TLS 1.3 server that cheats as it is told ([`hostile_tls`]), an SNTP server ([`time_server`]), and this host's sockets for transports over
//! `embedded-nal-async` ([`nal`]).
//!
//! The servers use no code of the crates under test. They sleep only where slowness is tested; all other
//! waits are for an event.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test should say where and why at once"
)]

mod authority;
pub mod conformance;
mod deliver;
mod free_port;
pub mod hostile;
pub mod hostile_tls;
pub mod nal;
mod nats_operator;
mod nats_server;
pub mod pki;
pub mod public;
pub mod real_tls;
mod run;
mod scenario;
mod scenarios;
mod sealer;
mod server;
pub mod sim;
pub mod time_server;
mod wire;

pub use authority::{Authority, Certificate};
pub use deliver::{CONFIG, Delivered, HostClock, Memory, Url, deliver};
pub use free_port::FreePort;
pub use nats_operator::{NatsOperator, NatsUser};
pub use nats_server::NatsServer;
pub use run::{HEADERS, TARGET, body, run, run_all};
pub use scenario::{Abilities, Expect, Names, Scenario, Setup, Step};
pub use scenarios::scenarios;
pub use server::{Act, Script, Seen, Server};

/// The keys of the counters that an event can be in: where it ends, queued, or in flight.
pub const PLACES: [&str; 9] = [
    "delivered",
    "rejected",
    "exhausted",
    "skipped",
    "dropped",
    "oversize",
    "abandoned",
    "queued",
    "in_flight",
];

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The plugin page's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/plugin.md")]
struct Plugin;
