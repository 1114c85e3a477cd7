//! Base64 with padding (RFC 4648, section 4), written only.

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

#[cfg(test)]
mod tests {
    use std::string::String;

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
}
