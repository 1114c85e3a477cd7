//! How far a file was read, in a form that can be stored.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// How many of a file's first bytes are remembered, to recognise it by them. Arbitrary: a few events with their times,
/// and little to read again before every read.
pub(super) const HEAD_MAX: usize = 1024;

/// Which file it is, under whatever name. Of a file that exists no more, another one may get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// How far a file was read. As text it is five numbers, `DEVICE:INODE:OFFSET:HEAD:HASH`: HASH (in hex) is of the
/// file's first HEAD bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub(super) file: FileId,
    /// In bytes.
    pub(super) offset: u64,
    head: Head,
}

/// A file's first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    /// At most `HEAD_MAX`, and no further than the file was read.
    length: usize,
    hash: u64,
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPosition;

impl Position {
    /// `offset` in a file with these first bytes.
    pub(super) fn new(file: FileId, offset: u64, head: &[u8]) -> Self {
        let length = usize::try_from(offset).unwrap_or(HEAD_MAX).min(HEAD_MAX).min(head.len());
        Self { file, offset, head: Head { length, hash: hash(&head[..length]) } }
    }

    /// How many of the file's first bytes it takes to recognise it.
    pub(super) fn head_length(&self) -> usize {
        self.head.length
    }

    /// Whether it is in a file with these first bytes.
    pub(super) fn is_behind(&self, head: &[u8]) -> bool {
        head.len() == self.head.length && hash(head) == self.head.hash
    }
}

/// FNV-1a: stored positions need one that stays the same. Nobody gains from a collision who may write the file.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file: FileId { device, inode }, offset, head: Head { length, hash } } = self;
        write!(f, "{device}:{inode}:{offset}:{length}:{hash:016x}")
    }
}

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let fields: Vec<&str> = text.split(':').collect();
        let [device, inode, offset, length, hash] = fields[..] else { return Err(NotAPosition) };
        let number = |text: &str| text.parse::<u64>().map_err(|_| NotAPosition);
        let position = Self {
            file: FileId { device: number(device)?, inode: number(inode)? },
            offset: number(offset)?,
            head: Head {
                length: length.parse().map_err(|_| NotAPosition)?,
                hash: u64::from_str_radix(hash, 16).map_err(|_| NotAPosition)?,
            },
        };
        let length = position.head.length;
        if length > HEAD_MAX || length as u64 > position.offset {
            return Err(NotAPosition);
        }
        Ok(position)
    }
}

impl fmt::Display for NotAPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a position in a file: expected DEVICE:INODE:OFFSET:HEAD:HASH")
    }
}

impl Error for NotAPosition {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_stored_comes_back(
            (device, inode, offset) in any::<(u64, u64, u64)>(),
            head in prop::collection::vec(any::<u8>(), 0..2 * HEAD_MAX),
        ) {
            let position = Position::new(FileId { device, inode }, offset, &head);
            prop_assert_eq!(position.to_string().parse(), Ok(position));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-f:+ -]{0,40}") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string().parse(), Ok(position));
            }
        }
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for bad in
            ["", "1:2:3", "1:2:3:4:5", "1:2:3:3:x", "1:2:9999:1025:5", "1:2:3:3:5:", "-1:2:3:3:5"]
        {
            assert_eq!(bad.parse::<Position>(), Err(NotAPosition), "{bad}");
        }
    }

    /// Stored ones are read by later versions.
    #[test]
    fn the_text_is_what_it_was() {
        let position = Position::new(FileId { device: 1, inode: 2 }, 6, b"foobar and more");
        assert_eq!(position.to_string(), "1:2:6:6:85944171f73967e8");
        assert!(position.is_behind(b"foobar"));
        assert!(!position.is_behind(b"foobaz") && !position.is_behind(b"fooba"));
    }
}
