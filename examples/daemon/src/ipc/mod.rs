//! The daemon's socket: pilot's own wire format, both ends of it.
//!
//! `Server::bind` takes the path, then `Server::serve` answers until it is dropped; what the
//! commands do is up to a `Handler`. `client` is the other end, one command a connection.

pub(crate) mod client;
pub mod frame;
mod info;
pub mod message;
mod server;
mod socket;

pub(crate) use info::info;
pub(crate) use server::{Handler, Server};

/// Where pilot's daemon and its tools meet.
pub(crate) const DEFAULT_SOCKET: &str = "/tmp/pilot.sock";
