//! Hostile receivers, played to every transport through the real worker loop.
//!
//! [`scenarios`](crate::scenarios()) say what the result of a post is; these say what it may cost: an attempt
//! ends within the HTTP timeout and a second, in the right counter, having read and
//! allocated no more than stated here.

mod http;
mod play;
mod tls;

use pilot_webhook_core::ErrorKind;

pub use play::meet_all;

use crate::Script;

/// What a hostile receiver does, and how an event that meets it ends.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// What it is about.
    pub name: &'static str,
    /// What the server does on the first connection. On the second one it is good.
    pub script: Script,
    /// The protocol to the server.
    pub over: Over,
    /// How the event ends after its one attempt.
    pub ends: Ends,
    /// The event is larger than all the buffers on its way.
    pub large: bool,
}

/// The protocols of an endpoint and its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// `http`.
    Plain,
    /// `https`, and the server does not speak TLS. There is no second connection.
    NoTls,
    /// `https`, TLS 1.3, which every transport speaks.
    Tls13,
    /// `https`, TLS 1.2, for transports that speak it.
    Tls12,
    /// `https`, TLS 1.2, for transports that do not speak it.
    Tls12Unknown,
}

/// How an event ends.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    /// Delivered: the status came, whatever came with it.
    Delivered,
    /// Rejected with this status.
    Rejected(u16),
    /// Exhausted by an attempt that ended in one of these ways.
    Fails(&'static [ErrorKind]),
}

/// The whole list.
#[must_use]
pub fn hostiles() -> Vec<Hostile> {
    [http::hostiles(), tls::hostiles()].concat()
}

const TIMEOUT: Ends = Ends::Fails(&[ErrorKind::Timeout]);
const PROTOCOL: Ends = Ends::Fails(&[ErrorKind::Protocol]);
const LOST: Ends = Ends::Fails(&[ErrorKind::Disconnected]);

impl Hostile {
    const fn new(name: &'static str, script: Script, over: Over, ends: Ends) -> Self {
        Self { name, script, over, ends, large: false }
    }
}
