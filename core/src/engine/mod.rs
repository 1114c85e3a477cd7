//! The engine: what becomes of an event between `emit` and its fate.

pub(crate) mod breaker;
pub(crate) mod config;
pub(crate) mod delivery;
pub(crate) mod dispatcher;
pub(crate) mod observer;
pub(crate) mod rate;
pub(crate) mod retry;
pub(crate) mod schedule;
mod state;
pub(crate) mod stats;
mod waker_set;
pub(crate) mod worker;
