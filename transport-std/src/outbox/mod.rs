//! A durable outbox: what was accepted is in a SQLite file until its story is over.
//!
//! A source puts events, one writer thread commits them in groups, a reader hands them out in the order of
//! their ids, and whoever delivers them tells how each ended. `docs/outbox.md` has the file's tables.

mod batch;
mod change;
mod check;
mod commit;
mod deliveries;
mod endpoint;
mod error;
mod event;
mod handle;
mod insert;
mod intake;
mod ledger;
mod lines;
mod lock;
mod look;
mod oldest;
mod pending;
mod purge;
mod reader;
mod rows;
mod run;
mod schema;
mod tools;
mod upkeep;
mod verify;
mod writer;

pub(crate) use batch::{Host, Tell};
pub use endpoint::{EndpointBounds, OutboxEndpoint};
pub use error::{OutboxError, OutboxErrorKind, PutError};
pub use event::{
    DeadFate, DeadLetter, DeadReason, End, EndpointId, NewEvent, Position, Stored, Tried,
};
pub use handle::{Outbox, OutboxOptions};
pub use ledger::{Ledger, Ledgers};
pub use pending::Pending;
pub use tools::{EndpointStatus, Item, OutboxFile, OutboxStatus, Which};
pub use verify::Verification;
