//! JSON into a byte slice: strings, structure and integers here, finite floats by serde-json-core.
//!
//! serde-json-core alone panics on `char`, 128-bit integers, tuple variants and custom errors,
//! writes non-finite floats as `null` and leaves map keys unquoted, so it is asked for the leaves
//! only. `serialize` holds the `serde::Serializer` on top of this writer.

use core::{fmt, mem};

use serde::Serialize;

use crate::ascii::{EIGHT, eight, hex, leading_zeros};
use crate::json::error::EncodeError;

/// Appends to a byte slice, all or nothing for each piece. Every piece fails with
/// [`EncodeError::TooLong`] when it does not fit.
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Writer<'a> {
    /// A writer that begins at the start of `buffer`.
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// What was written so far.
    pub(crate) fn written(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> &'a [u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Takes back everything after `length`.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Bytes that were written so far.
    pub(crate) const fn length(&self) -> usize {
        self.length
    }

    /// Lends the last bytes of the room, and a writer that goes on in front of them. What that wrote counts
    /// after [`advance_to`](Self::advance_to) its length.
    pub(crate) fn split_spare(
        &mut self,
        bytes: usize,
    ) -> Result<(Writer<'_>, &mut [u8]), EncodeError> {
        let front = self.buffer.len().checked_sub(bytes).filter(|front| *front >= self.length);
        let (buffer, spare) = self.buffer.split_at_mut(front.ok_or(EncodeError::TooLong)?);
        Ok((Writer { buffer, length: self.length }, spare))
    }

    /// Takes in what stands behind the length, up to another one.
    pub(crate) fn advance_to(&mut self, length: usize) {
        self.length = length.min(self.buffer.len()).max(self.length);
    }

    /// Bytes as they are.
    ///
    /// # Errors
    /// When they do not fit.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let end = self.length + bytes.len();
        let place = self.buffer.get_mut(self.length..end).ok_or(EncodeError::TooLong)?;
        place.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    /// Bytes as hexadecimal digits in lower case.
    pub(crate) fn hex(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        bytes.iter().try_for_each(|byte| self.push(&hex(*byte)))
    }

    /// A whole number.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn integer(&mut self, number: u64) -> Result<(), EncodeError> {
        match u32::try_from(number) {
            Ok(number) if number < EIGHT => self.short_integer(number),
            _ => self.long_integer(number),
        }
    }

    /// A number of up to eight digits.
    fn short_integer(&mut self, number: u32) -> Result<(), EncodeError> {
        let digits = eight(number);
        let zeros = leading_zeros(digits);
        let rest = self.buffer.get_mut(self.length..).unwrap_or_default();
        if let Some(place) = rest.first_chunk_mut() {
            // Room for all eight of them: what is behind the number's own is written over later.
            *place = (u64::from_le_bytes(digits) >> (8 * zeros)).to_le_bytes();
            self.length += digits.len() - zeros;
            return Ok(());
        }
        self.push(digits.get(zeros..).unwrap_or_default())
    }

    #[cold]
    #[allow(clippy::cast_possible_truncation, reason = "a remainder has eight digits")]
    fn long_integer(&mut self, number: u64) -> Result<(), EncodeError> {
        self.integer(number / u64::from(EIGHT))?;
        self.push(&eight((number % u64::from(EIGHT)) as u32))
    }

    /// A float that is a number, by serde-json-core.
    pub(crate) fn number(&mut self, number: impl Serialize) -> Result<(), EncodeError> {
        let rest = self.buffer.get_mut(self.length..).unwrap_or_default();
        let written = serde_json_core::to_slice(&number, rest).map_err(|_| EncodeError::TooLong)?;
        self.length += written;
        Ok(())
    }

    /// A JSON string: in quotes, escaped.
    ///
    /// # Errors
    /// When it does not fit.
    #[inline]
    pub fn string(&mut self, text: &str) -> Result<(), EncodeError> {
        // Most are short and need no escape: they are copied while they are looked at.
        let bytes = text.as_bytes();
        let end = self.length + bytes.len() + 2;
        if let Some([first, middle @ .., last]) = self.buffer.get_mut(self.length..end)
            && copy_plain(bytes, middle)
        {
            (*first, *last) = (b'"', b'"');
            self.length = end;
            return Ok(());
        }
        self.escaped_string(text)
    }

    #[cold]
    fn escaped_string(&mut self, text: &str) -> Result<(), EncodeError> {
        self.push(b"\"")?;
        self.escaped(text)?;
        self.push(b"\"")
    }

    /// What stands before a field's value: a bracket or comma, the name and a colon.
    #[inline]
    pub(crate) fn name(&mut self, before: u8, name: &str) -> Result<(), EncodeError> {
        let bytes = name.as_bytes();
        let end = self.length + bytes.len() + 4;
        if let Some([first, quote, middle @ .., last, colon]) =
            self.buffer.get_mut(self.length..end)
            && copy_plain(bytes, middle)
        {
            (*first, *quote, *last, *colon) = (before, b'"', b'"', b':');
            self.length = end;
            return Ok(());
        }
        self.escaped_name(before, name)
    }

    #[cold]
    fn escaped_name(&mut self, before: u8, name: &str) -> Result<(), EncodeError> {
        self.push(&[before])?;
        self.escaped_string(name)?;
        self.push(b":")
    }

    /// A piece of a string: runs that need no escape are copied whole.
    pub(crate) fn escaped(&mut self, text: &str) -> Result<(), EncodeError> {
        let mut rest = text.as_bytes();
        loop {
            let (run, tail) = rest.split_at_checked(plain(rest)).unwrap_or((rest, &[]));
            self.push(run)?;
            let Some((&byte, tail)) = tail.split_first() else { return Ok(()) };
            self.escape(byte)?;
            rest = tail;
        }
    }

    /// Puts what was written from `start` on between quotes.
    pub(crate) fn quote(&mut self, start: usize) -> Result<(), EncodeError> {
        let end = self.length;
        self.push(b"\"\"")?;
        self.buffer.copy_within(start..end, start + 1);
        self.buffer[start] = b'"';
        Ok(())
    }

    fn escape(&mut self, byte: u8) -> Result<(), EncodeError> {
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            _ => {
                let [high, low] = hex(byte);
                return self.push(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        };
        self.push(&[b'\\', short])
    }
}

/// Bytes of a word, and of half of one.
const WORD: usize = size_of::<usize>();
const HALF: usize = WORD / 2;

/// Whether a byte of the word needs an escape: those that do, and perhaps some above the first one,
/// have their highest bit set in the result.
const fn special(word: [u8; WORD]) -> usize {
    const ONES: usize = usize::MAX / 255;
    let word = usize::from_le_bytes(word);
    // A byte without its highest bit is below a limit when the difference has it. With one bit
    // turned, a quote follows the control characters.
    let controls = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
    (controls | backslash) & !word & (ONES << 7)
}

const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The length of the run at the start that needs no escape: a word at a time, as long as it goes.
pub(crate) fn plain(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    match words.iter().position(|word| special(*word) != 0) {
        Some(at) => {
            let length = at * WORD;
            length + special(words[at]).trailing_zeros() as usize / 8
        }
        None => {
            let end = rest.iter().position(|byte| is_special(*byte));
            bytes.len() - rest.len() + end.unwrap_or(rest.len())
        }
    }
}

/// Copies `bytes`, as long as `out`; `false` when one of them needs an escape.
#[inline]
fn copy_plain(mut bytes: &[u8], mut out: &mut [u8]) -> bool {
    while bytes.len() > 2 * WORD
        && let (Some((word, rest)), Some((place, room))) =
            (bytes.split_first_chunk(), mem::take(&mut out).split_first_chunk_mut())
    {
        if special(*word) != 0 {
            return false;
        }
        *place = *word;
        (bytes, out) = (rest, room);
    }
    if let Some((first, last)) = copy_ends(bytes, out) {
        return special(first) | special(last) == 0;
    }
    if let Some((first, last)) = copy_ends::<HALF>(bytes, out) {
        let mut word = [0; WORD];
        word[..HALF].copy_from_slice(&first);
        word[HALF..].copy_from_slice(&last);
        return special(word) == 0;
    }
    for (byte, out) in bytes.iter().zip(out) {
        if is_special(*byte) {
            return false;
        }
        *out = *byte;
    }
    true
}

/// Copies the first and the last `N` bytes, which overlap where there are less than twice as many.
fn copy_ends<const N: usize>(bytes: &[u8], out: &mut [u8]) -> Option<([u8; N], [u8; N])> {
    let (first, last) = (*bytes.first_chunk()?, *bytes.last_chunk()?);
    *out.first_chunk_mut()? = first;
    *out.last_chunk_mut()? = last;
    Some((first, last))
}

/// Raw text, for `Display` of what needs no quotes.
impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// The length of the longest `u64` as text.
pub const DIGITS: usize = 20;

/// A number as text, for a header, without the machinery of formatting.
pub fn decimal(number: u64, out: &mut [u8; DIGITS]) -> &str {
    let mut writer = Writer::new(out);
    // It fits, and digits are text.
    let _ = writer.integer(number);
    core::str::from_utf8(writer.finish()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_needs_an_escape_is_found_wherever_it_stands() {
        for length in 0..40 {
            for at in 0..length {
                for byte in 0..=255 {
                    // Bytes that are nearly found, after it and before.
                    let mut bytes = [b'!'; 40];
                    bytes[at] = byte;
                    bytes[at + 1..]
                        .copy_from_slice(&[0x80, 0x1f, b'"', 0xff, b'#'].repeat(8)[at + 1..]);
                    let rest = bytes[at + 1..length].iter();
                    let after = rest
                        .clone()
                        .position(|byte| is_special(*byte))
                        .map_or(length, |more| at + 1 + more);
                    let expected = if is_special(byte) { at } else { after };
                    assert_eq!(plain(&bytes[..length]), expected, "{byte:#x} at {at} of {length}");
                    let mut copy = [0; 40];
                    let is_plain = copy_plain(&bytes[..length], &mut copy[..length]);
                    assert_eq!(is_plain, expected == length, "{byte:#x} at {at} of {length}");
                    assert!(!is_plain || copy[..length] == bytes[..length]);
                }
            }
        }
    }

    #[test]
    fn whole_numbers_are_written_as_they_are_read() {
        let mut out = [0; 20];
        for number in [
            0,
            7,
            10,
            99_999_999,
            100_000_000,
            1_234_567_890,
            u32::MAX.into(),
            1 << 32,
            10_u64.pow(19),
            u64::MAX,
        ] {
            let mut writer = Writer::new(&mut out);
            writer.integer(number).unwrap();
            assert_eq!(core::str::from_utf8(writer.written()).unwrap().parse(), Ok(number));
        }
        assert_eq!(Writer::new(&mut [0; 19]).integer(u64::MAX), Err(EncodeError::TooLong));
    }
}
