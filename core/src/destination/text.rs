//! Pieces of text, by functions that are compiled once.

use heapless::string::StringView;

/// Appends, if it fits.
#[inline(never)]
pub(super) fn push(text: &mut StringView, piece: &str) -> Option<()> {
    text.push_str(piece).ok()
}

/// A part of the text; empty when it has none there.
#[inline(never)]
pub(super) fn part(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or_default()
}

/// Splits before the first of these characters, which must be ASCII ones.
#[inline(never)]
pub(super) fn split_before<'t>(text: &'t str, ends: &str) -> (&'t str, &'t str) {
    let is_end = |byte| ends.bytes().any(|end| end == byte);
    let end = text.bytes().position(is_end).unwrap_or(text.len());
    match text.split_at_checked(end) {
        Some(parts) => parts,
        None => (text, ""),
    }
}

/// RFC 3986's `unreserved` and `sub-delims`, and the colon: what a user name and a path may have as it is.
pub(super) const fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b':'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}
