//! The headers of one message, in fixed memory.

use core::{fmt, mem};

use heapless::Vec;

use crate::json::{EncodeError, Writer};

/// The most headers of one message. CloudEvents in HTTP's binary mode takes 6, Standard Webhooks 3, and a node may add
/// 4.
pub(crate) const MOST: usize = 16;
/// Bytes for the values that are made for one message: 219 for pilot's signature, the time and three signatures of
/// Standard Webhooks, and 167 for CloudEvents in binary mode with a type of 64, which is more than for pilot's format.
/// Signatures by Ed25519 are twice as long.
pub(crate) const ROOM: usize = SIGNATURES + TRACE;
const SIGNATURES: usize = if cfg!(feature = "ed25519") { 528 } else { 392 };
/// For W3C's `traceparent`.
const TRACE: usize = if cfg!(feature = "traceparent") { 55 } else { 0 };

/// The headers of a message, as a format and a signer give them.
///
/// What does not fit makes the message one that cannot be sent, so that no header is ever left out.
pub struct Headers<'h> {
    pairs: Vec<(&'h str, &'h str), MOST>,
    /// For the values that are made for this message.
    room: &'h mut [u8],
    is_full: bool,
}

impl<'h> Headers<'h> {
    pub(crate) const fn new(room: &'h mut [u8]) -> Self {
        Self { pairs: Vec::new(), room, is_full: false }
    }

    /// Adds a header whose value stands elsewhere.
    pub fn push(&mut self, name: &'h str, value: &'h str) {
        self.is_full |= self.pairs.push((name, value)).is_err();
    }

    /// Adds a header whose value is written here.
    pub fn write(
        &mut self,
        name: &'h str,
        value: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
    ) {
        let mut writer = Writer::new(self.room);
        let written = value(&mut writer).map_or(usize::MAX, |()| writer.length());
        self.keep(name, written);
    }

    /// Takes in a value that was written to the start of the room.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn keep(&mut self, name: &'h str, length: usize) {
        let room = mem::take(&mut self.room);
        if length > room.len() {
            self.is_full = true;
            return;
        }
        let (value, rest) = room.split_at_mut(length);
        self.room = rest;
        match core::str::from_utf8(value) {
            Ok(value) => self.push(name, value),
            Err(_) => self.is_full = true,
        }
    }

    /// Adds a header whose value is a [`Display`](fmt::Display).
    pub fn format(&mut self, name: &'h str, value: impl fmt::Display) {
        let written = |out: &mut Writer<'_>| fmt::write(out, format_args!("{value}"));
        self.write(name, |out| written(out).map_err(|_| EncodeError::TooLong));
    }

    /// The value of the first header of this name, in the letters that it was added with.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'h str> {
        self.pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    /// The value that was added already with this text, so that it is not kept twice.
    pub(crate) fn same(&self, text: &[u8]) -> Option<&'h str> {
        self.pairs.iter().map(|(_, value)| *value).find(|value| value.as_bytes() == text)
    }

    /// What was added, the first one first; `None` when something did not fit.
    pub(crate) fn finish(&self) -> Option<&[(&'h str, &'h str)]> {
        (!self.is_full).then_some(&self.pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_side_by_side() {
        let mut room = [0; 8];
        let mut headers = Headers::new(&mut room);
        headers.push("a", "elsewhere");
        headers.format("b", 1234);
        headers.format("c", "5678");
        assert_eq!(headers.finish(), Some(&[("a", "elsewhere"), ("b", "1234"), ("c", "5678")][..]));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let mut room = [0; 8];
        let mut headers = Headers::new(&mut room);
        headers.format("a", "123456789");
        assert_eq!(headers.finish(), None);

        let mut headers = Headers::new(&mut []);
        for _ in 0..MOST {
            headers.push("a", "b");
        }
        assert!(headers.finish().is_some());
        headers.push("a", "b");
        assert_eq!(headers.finish(), None);
    }
}
