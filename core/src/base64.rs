//! Base64 with padding (RFC 4648, section 4), of bytes that lie nowhere together.

use base64ct::{Base64, Encoding as _};

/// What stands before basic credentials (RFC 7617).
pub(crate) const BASIC: &str = "Basic ";

/// Gives `push` the text of `bytes`, four letters at a time; `None` when it refuses one of them.
pub(crate) fn encode(
    mut bytes: impl Iterator<Item = u8>,
    mut push: impl FnMut(&str) -> Option<()>,
) -> Option<()> {
    loop {
        let mut group = [0; 3];
        let mut length = 0;
        for (place, byte) in group.iter_mut().zip(bytes.by_ref()) {
            *place = byte;
            length += 1;
        }
        if length > 0 {
            push(Base64::encode(group.get(..length)?, &mut [0; 4]).ok()?)?;
        }
        if length < group.len() {
            return Some(());
        }
    }
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
