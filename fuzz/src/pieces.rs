//! Bytes that come in pieces.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// The rest of an input, cut as its first two bytes say: two sizes that take turns, by their lowest
/// five bits; zero is all there is. So `@@` cuts nothing, and `AC` after one byte and three.
#[derive(Clone)]
pub(crate) struct Pieces<'a> {
    rest: &'a [u8],
    sizes: [usize; 2],
    /// What is left of the current piece.
    left: usize,
    /// The most room that a reader ever had ready.
    pub(crate) room: usize,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Option<Self> {
        let (sizes, rest) = input.split_first_chunk::<2>()?;
        let sizes = sizes.map(|size| match size % 32 {
            0 => usize::MAX,
            size => size.into(),
        });
        Some(Self { rest, sizes, left: 0, room: 0 })
    }

    /// Takes a byte off before the rest is cut.
    pub(crate) fn split_first(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// All that did not come yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next piece, or what of it there is room for.
    pub(crate) fn piece(&mut self, room: usize) -> &'a [u8] {
        self.room = self.room.max(room);
        if self.left == 0 {
            self.left = self.sizes[0];
            self.sizes.swap(0, 1);
        }
        let (piece, rest) = self.rest.split_at(self.left.min(room).min(self.rest.len()));
        self.left -= piece.len();
        self.rest = rest;
        piece
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let piece = self.piece(buf.len());
        buf[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = self.piece(buf.remaining());
        buf.put_slice(piece);
        Poll::Ready(Ok(()))
    }
}
