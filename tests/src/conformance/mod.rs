//! The tables of `core/tests/data`, played through the worker loop to any transport.
//!
//! Each is a file that can be checked by eye. `core`'s own tests read the same files.

mod destinations;
mod fresh;
mod payloads;
mod statuses;

pub use destinations::{Attempted, destinations};
pub use fresh::leaves_the_connection;
pub use payloads::payloads;
pub use statuses::statuses;

/// The rows of a table, and their columns.
fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let is_row = |line: &&str| !line.is_empty() && !line.starts_with('#');
    table.lines().filter(is_row).map(|line| line.split_whitespace().collect())
}
