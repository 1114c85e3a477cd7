//! The engine: what becomes of an event between `emit` and its fate.

pub(crate) mod breaker;
pub(crate) mod config;
pub(crate) mod delivery;
pub(crate) mod dispatcher;
pub(crate) mod observer;
#[cfg_attr(not(feature = "rate"), path = "no_rate.rs")]
pub(crate) mod rate;
pub(crate) mod retry;
#[cfg_attr(not(feature = "schedule"), path = "no_schedule.rs")]
pub(crate) mod schedule;
mod state;
pub(crate) mod stats;
mod waker_set;
pub(crate) mod worker;
