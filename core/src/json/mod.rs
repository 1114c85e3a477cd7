//! JSON text without a heap: a writer, a `serde` serializer over it, and text that is JSON already.

mod error;
mod serialize;
mod text;
mod unescaped;
mod writer;

pub use error::EncodeError;
pub(crate) use serialize::write;
pub(crate) use text::copy;
pub(crate) use unescaped::Unescaped;
pub use writer::{DIGITS, Writer, decimal};
