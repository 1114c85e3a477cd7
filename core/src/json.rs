//! JSON into a byte slice: strings and structure here, numbers by serde-json-core.
//!
//! serde-json-core alone panics on `char`, 128-bit integers, tuple variants and custom errors,
//! writes non-finite floats as `null` and leaves map keys unquoted, so it is asked for the leaves
//! only. `serialize` holds the `serde::Serializer` on top of this writer.

use core::fmt;

use serde::Serialize;

use crate::serialize::Encoder;

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
    /// [`Json`](crate::Json) text is not JSON, or nested deeper than 128 levels.
    Json,
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
            Self::Custom => "the data could not serialize itself",
        })
    }
}

impl core::error::Error for EncodeError {}

/// Appends to a byte slice, all or nothing for each piece.
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// What was written so far.
    pub(crate) fn written(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Takes back everything after `length`.
    pub(crate) const fn truncate(&mut self, length: usize) {
        if length < self.length {
            self.length = length;
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let end = self.length + bytes.len();
        let place = self.buffer.get_mut(self.length..end).ok_or(EncodeError::TooLong)?;
        place.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    /// A number, by serde-json-core.
    pub(crate) fn number(&mut self, number: impl Serialize) -> Result<(), EncodeError> {
        let rest = self.buffer.get_mut(self.length..).unwrap_or_default();
        let written = serde_json_core::to_slice(&number, rest).map_err(|_| EncodeError::TooLong)?;
        self.length += written;
        Ok(())
    }

    /// A string in quotes, escaped.
    pub(crate) fn string(&mut self, text: &str) -> Result<(), EncodeError> {
        self.push(b"\"")?;
        self.escaped(text)?;
        self.push(b"\"")
    }

    /// A piece of a string: runs that need no escape are copied whole.
    pub(crate) fn escaped(&mut self, text: &str) -> Result<(), EncodeError> {
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|&b| b < 0x20 || b == b'"' || b == b'\\') {
            let (run, tail) = rest.split_at(at);
            self.push(run)?;
            if let Some((&byte, tail)) = tail.split_first() {
                self.escape(byte)?;
                rest = tail;
            }
        }
        self.push(rest)
    }

    fn escape(&mut self, byte: u8) -> Result<(), EncodeError> {
        const HEX: [u8; 16] = *b"0123456789abcdef";
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            _ => {
                let [high, low] = [byte >> 4, byte & 15].map(|nibble| HEX[usize::from(nibble)]);
                return self.push(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        };
        self.push(&[b'\\', short])
    }

    /// Any value.
    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        value.serialize(Encoder::new(self))
    }

    /// A map key: a string as it is, a number or boolean in quotes.
    pub(crate) fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        let start = self.length;
        self.value(key)?;
        match self.written().get(start) {
            Some(b'"') => Ok(()),
            Some(b'-' | b'0'..=b'9' | b't' | b'f') => {
                let end = self.length;
                self.push(b"\"\"")?;
                self.buffer.copy_within(start..end, start + 1);
                self.buffer[start] = b'"';
                Ok(())
            }
            _ => Err(EncodeError::Key),
        }
    }
}

/// Raw text, for `Display` of what needs no quotes.
impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// Encodes any value as JSON text into `out`, with the rules for an event's data.
///
/// ```
/// let mut out = [0; 16];
/// assert_eq!(pilot_webhook_core::to_json(&["a", "b"], &mut out), Ok(r#"["a","b"]"#));
/// ```
///
/// # Errors
/// When it does not fit or cannot be written as JSON.
pub fn to_json<'a, T: Serialize + ?Sized>(
    value: &T,
    out: &'a mut [u8],
) -> Result<&'a str, EncodeError> {
    let mut writer = Writer::new(out);
    writer.value(value)?;
    let length = writer.length;
    let text = out.get(..length).unwrap_or_default();
    core::str::from_utf8(text).map_err(|_| EncodeError::Custom)
}
