//! A file that goes on: what is appended to it is read, also after a rotation or a truncation.
//!
//! [`Looker`] watches a path and opens every file that comes to it. [`Followed`] reads these files one after the other;
//! what it does next is decided by pure functions, from what it has found. [`Position`] says how far it has read, in a
//! form that can be stored. Files that were rotated while nobody read are found by [`Files::rotated_after`]. [`Files`] is the edge to the file system.

mod decision;
mod disk;
mod looker;
mod position;
mod rotated;
mod source;
#[cfg(test)]
mod tests;

pub use disk::{Disk, Files, Seen};
pub use looker::{Looker, Opened};
pub use position::{FileId, NotAPosition, Position};
pub use source::Followed;
