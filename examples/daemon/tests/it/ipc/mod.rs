//! The daemon's socket, as pilot's tools and other clients meet it: the real binary.

mod asked;
mod commands;
pub(crate) mod daemon;
mod file;
mod signals;
mod webhook;
mod wire;
