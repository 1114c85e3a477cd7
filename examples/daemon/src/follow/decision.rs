//! What is to be done next, from what was found.

use super::Seen;

/// What a file has behind the bytes that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// More bytes.
    Bytes,
    /// Nothing yet.
    Nothing,
    /// It has another content: it was truncated, and perhaps written again.
    Replaced,
}

/// What is unread of a file that was read up to `offset`, and had `head` as its first bytes, from its length and
/// from its first bytes as they are now, of which there are no more than of `head`.
pub(super) fn unread(offset: u64, head: &[u8], length: u64, head_now: &[u8]) -> Unread {
    if length < offset || head_now != head {
        Unread::Replaced
    } else if length > offset {
        Unread::Bytes
    } else {
        Unread::Nothing
    }
}

/// Whether the writer has left a file, from those that came to its path after it. An empty one alone does not say so:
/// who rotates files may make it before the writer knows. Two of them do: by the second rotation it knows of the first.
pub(super) fn is_left(later: impl IntoIterator<Item = Seen>) -> bool {
    later.into_iter().enumerate().any(|(n, seen)| n > 0 || seen.is_pipe || seen.length > 0)
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read on in the file.
    Read,
    /// Read the file from its beginning.
    Restart,
    /// Go to the next file.
    Next,
    /// Look again later.
    Wait,
}

/// What to do with the file that is read, if there is one. Whether it is left must be found **before** what is unread:
/// only then nothing comes after the last byte that was read.
pub(super) fn decide(is_left: bool, unread: Option<Unread>) -> Step {
    match unread {
        Some(Unread::Bytes) => Step::Read,
        Some(Unread::Replaced) => Step::Restart,
        Some(Unread::Nothing) if is_left => Step::Next,
        Some(Unread::Nothing) | None => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_has_unread_is_told_by_its_length_and_its_first_bytes() {
        let cases: [(u64, u64, &[u8], Unread); 6] = [
            (0, 0, b"", Unread::Nothing),
            (0, 5, b"", Unread::Bytes),
            (3, 3, b"one", Unread::Nothing),
            (3, 5, b"one", Unread::Bytes),
            // Truncated, and as long as before.
            (3, 3, b"two", Unread::Replaced),
            // Written again from the beginning, with what it had before.
            (8, 5, b"one", Unread::Replaced),
        ];
        for (offset, length, head_now, expected) in cases {
            let head = if offset == 0 { &b""[..] } else { b"one" };
            assert_eq!(unread(offset, head, length, head_now), expected, "{offset} {length}");
        }
    }
}
