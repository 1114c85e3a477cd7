//! The configuration file: its keys are the options of the command line, and each `[[endpoint]]` has its own.
//!
//! `text` is read to a `document` of `table`s, whose keys `keys` knows from the definition of the command line; `load` makes
//! endpoints of it and checks them by the `rules`, and the `process` with its addresses and files, with all `problem`s at once. `plan` says what a reload has to do.

mod document;
mod keys;
mod load;
mod of_stream;
mod plan;
mod problem;
mod process;
mod rules;
mod summary;
mod table;
mod text;

#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod docs_tests;
#[cfg(all(test, feature = "nats"))]
mod stream_tests;
#[cfg(test)]
mod tests;

pub(crate) use load::{Config, Declared, Source};
pub(crate) use plan::{Change, differences, plan};
pub(crate) use process::NO_SOURCE;
pub(crate) use summary::summary;
pub(crate) use table::Settings;
