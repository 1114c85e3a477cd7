//! Base64 with padding (RFC 4648, section 4).
//!
//! It is short: the decoder of base64ct, in constant time, takes 1.2 KB of a node's flash. What is read here is the key of
//! a setting, once, and the signature of a message, which is no secret.

/// What stands before basic credentials (RFC 7617).
pub(crate) const BASIC: &str = "Basic ";

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Gives `push` the text of `bytes`, four letters at a time; `None` when it refuses one of them.
pub(crate) fn encode(
    bytes: impl Iterator<Item = u8>,
    mut push: impl FnMut(&str) -> Option<()>,
) -> Option<()> {
    let (mut group, mut length) = (0_u32, 0_u32);
    for byte in bytes {
        group = group << 8 | u32::from(byte);
        length += 1;
        if length == 3 {
            letters(group, 3, &mut push)?;
            (group, length) = (0, 0);
        }
    }
    if length > 0 {
        letters(group << (8 * (3 - length)), length, &mut push)?;
    }
    Some(())
}

/// The letters of a group of three bytes, of which `length` are there.
fn letters(group: u32, length: u32, push: &mut impl FnMut(&str) -> Option<()>) -> Option<()> {
    let mut text = [b'='; 4];
    for (place, shift) in text.iter_mut().zip([18, 12, 6, 0]).take(length as usize + 1) {
        *place = LETTERS[(group >> shift & 63) as usize];
    }
    push(core::str::from_utf8(&text).ok()?)
}

/// The bytes that a text stands for, at the start of `room`; `None` when it is another's, or they do not fit.
pub(crate) fn decode<'r>(text: &str, room: &'r mut [u8]) -> Option<&'r [u8]> {
    let (groups, []) = text.as_bytes().as_chunks::<4>() else { return None };
    let mut length = 0;
    for (index, group) in groups.iter().enumerate() {
        let is_last = index + 1 == groups.len();
        let padding = match group {
            [_, _, b'=', b'='] if is_last => 2,
            [_, _, _, b'='] if is_last => 1,
            _ => 0,
        };
        let (letters, _) = group.split_at(4 - padding);
        let bits = letters.iter().try_fold(0, |bits, &letter| Some(bits << 6 | value(letter)?))?;
        // In front of them is a byte of zeros.
        let [_, bytes @ ..] = (bits << (6 * padding)).to_be_bytes();
        let (bytes, rest) = bytes.split_at(3 - padding);
        // Each text has one spelling.
        if rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        room.get_mut(length..length + bytes.len())?.copy_from_slice(bytes);
        length += bytes.len();
    }
    room.get(..length)
}

/// The number that a letter stands for.
fn value(letter: u8) -> Option<u32> {
    let value = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding as _};
    use proptest::prelude::*;

    use std::string::String;
    use std::vec;

    use super::*;

    #[test]
    fn the_vectors_of_the_rfc() {
        for (bytes, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("\u{fb}\u{f0}\u{3f}", "w7vDsD8="),
        ] {
            let mut text = String::new();
            let push = |letters: &str| {
                text.push_str(letters);
                Some(())
            };
            assert_eq!(encode(bytes.bytes(), push), Some(()));
            assert_eq!(text, expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            let text = Base64::encode_string(&bytes);
            let mut room = [0; 70];
            prop_assert_eq!(decode(&text, &mut room), Some(&bytes[..]));
            let mut short = vec![0; bytes.len().saturating_sub(1)];
            prop_assert_eq!(decode(&text, &mut short), bytes.is_empty().then_some(&[][..]));
        }

        /// base64ct reads the same texts, and no others.
        #[test]
        fn what_is_no_base64_is_not_read(text in "[A-C/+=x-z0-2 _]{0,12}|[AQg=]{4,8}|.{0,8}") {
            let (mut own, mut other) = ([0; 32], [0; 32]);
            let expected = Base64::decode(&text, &mut other).ok();
            prop_assert_eq!(decode(&text, &mut own), expected, "{}", text);
        }
    }
}
