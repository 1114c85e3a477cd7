//! The admin address: a page for operators, over HTTP.
//!
//! `Admin::bind` takes the address and makes the token, `Admin::serve` answers. A request passes `server` (bounds),
//! `guard` (who may ask at all: hosts and pages), `gate` (who has the token), and then `routes`.

mod condition;
mod gate;
mod guard;
mod history;
mod options;
mod page;
mod routes;
mod server;
mod status;
mod token;
mod watch;

pub(crate) use options::AdminOptions;
pub(crate) use server::{Admin, check};
pub(crate) use watch::Watch;
