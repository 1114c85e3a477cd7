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

use std::path::PathBuf;

pub(crate) use info::{health, info};
pub(crate) use message::without_credentials;
pub(crate) use server::{Handler, Lost, OnLost, Server};

/// Pilot's default socket: in the user's runtime directory, which no other user can write to, or in `/tmp`
/// where there is none.
pub(crate) fn default_socket() -> PathBuf {
    let directory = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // The standard says that a relative one is no directory.
    let directory = directory.filter(|directory| directory.is_absolute());
    directory.unwrap_or_else(|| PathBuf::from("/tmp")).join("pilot.sock")
}
