//! HTTP ingress: takes the POSTs of pilot's Go plugin, so that its events are delivered from here.
//!
//! `Ingress::bind` takes the address, `Ingress::start` answers from then on, and `Serving::stop` finishes the
//! requests under way. What is posted is read by [`body`], a pure function. `Intake::accept` decides what becomes
//! of it, with the rule of `repeats`. `refusal` says what the sender is told.

pub(crate) mod address;
pub mod body;
mod intake;
mod refusal;
mod repeats;
mod server;
mod when_full;

pub(crate) use address::{COMES_BACK, comes_back};
pub(crate) use intake::Intake;
pub(crate) use server::{Ingress, Serving};
pub(crate) use when_full::{FullNow, WhenFull};
