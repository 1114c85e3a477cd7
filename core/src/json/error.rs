//! What cannot be written as JSON.

use core::fmt;

/// Why a payload could not be encoded. The caller corrects the data; nothing was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload is longer than an event may be, or than the scratch buffer.
    TooLong,
    /// A float is infinite or not a number, which JSON cannot say.
    NotFinite,
    /// A map key is neither a string nor a number, boolean or unit variant.
    Key,
    /// [`Json`](crate::Json) text is not JSON.
    Json,
    /// Arrays and objects are nested deeper than 128 levels, which receivers often cannot read.
    TooDeep,
    /// The data's own `Serialize` (or `Display`) gave up.
    Custom,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the payload is longer than an event may be",
            Self::NotFinite => "the data holds a float that JSON cannot write",
            Self::Key => "the data holds a map key that is not a string",
            Self::Json => "the data is not valid JSON text",
            Self::TooDeep => "the data is nested deeper than 128 levels",
            Self::Custom => "the data could not serialize itself",
        })
    }
}

impl core::error::Error for EncodeError {}
