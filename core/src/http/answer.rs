//! The heads of an answer, line by line, in whatever pieces they come.

use heapless::Vec;

use super::Malformed;
use super::fields::{Fields, Head};
use super::status::Response;
use crate::ascii::find;

/// The most bytes of heads, interim answers included, that are read. Arbitrary: four
/// times what the common servers let a head grow to.
pub const HEADS_MAX: usize = 32 * 1_024;
/// The most of a line that is looked at. The status line and the headers that matter are shorter;
/// a longer one is taken as cut, however it came.
const LINE_MAX: usize = 128;

/// Reads heads until that of the final answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The beginning of a line that comes in pieces.
    line: Vec<u8, LINE_MAX>,
    /// There was more of it.
    is_cut: bool,
    /// Bytes that may still come.
    left: usize,
    /// `None` before the status line.
    fields: Option<Fields>,
}

impl Answer {
    /// Nothing of it has come yet.
    pub(super) const fn new() -> Self {
        Self { line: Vec::new(), is_cut: false, left: HEADS_MAX, fields: None }
    }

    /// Takes what belongs to the heads from the beginning of `bytes`. Tells how much that was, and
    /// the final head once it is complete; then what follows is the body. A final head that goes on
    /// beyond [`HEADS_MAX`] is cut short: its status counts, and the connection is not used again.
    ///
    /// # Errors
    /// When it is not HTTP/1, or goes on too long before a final status; never behind one. The connection is of no more use then.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Head>), Malformed> {
        let mut rest = bytes;
        while let Some(end) = find(rest, b'\n') {
            let (line, behind) = rest.split_at_checked(end + 1).unwrap_or((rest, &[]));
            if !self.count(line.len()) {
                return self.too_large(bytes);
            }
            rest = behind;
            if let Some(head) = self.end_line(line.strip_suffix(b"\n").unwrap_or(line))? {
                return Ok((bytes.len() - rest.len(), Some(head)));
            }
        }
        if !self.count(rest.len()) {
            return self.too_large(bytes);
        }
        self.keep(rest);
        Ok((bytes.len(), None))
    }

    /// The final status, with what its headers said so far, when its line has come and its head has not ended.
    pub(super) fn so_far(&self) -> Option<Response> {
        self.fields.as_ref().and_then(Fields::so_far)
    }

    /// Whether so many more bytes are within the bound.
    fn count(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Beyond the bound, a final status that has come is the answer.
    fn too_large(&self, bytes: &[u8]) -> Result<(usize, Option<Head>), Malformed> {
        let known = self.so_far().ok_or(Malformed::TooLarge)?;
        Ok((bytes.len(), Some(Head::cut_short(known))))
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = LINE_MAX - self.line.len();
        let (fits, cut) = piece.split_at_checked(room).unwrap_or((piece, &[]));
        self.is_cut |= !cut.is_empty();
        // As much as fits.
        let _ = self.line.extend_from_slice(fits);
    }

    /// The end of a line, and what was kept of it before.
    fn end_line(&mut self, piece: &[u8]) -> Result<Option<Head>, Malformed> {
        let whole = self.line.is_empty() && piece.len() <= LINE_MAX;
        if !whole {
            self.keep(piece);
        }
        let line = if whole { piece } else { self.line.as_slice() };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_empty = line.is_empty() && !self.is_cut;
        let head = match &mut self.fields {
            // What some servers leave behind a body.
            None if is_empty => None,
            None => {
                self.fields = Some(Fields::after(line)?);
                None
            }
            Some(fields) if is_empty => {
                let head = fields.head();
                self.fields = None;
                Some(head)
            }
            Some(fields) => {
                fields.take(line, self.is_cut);
                None
            }
        };
        self.line.clear();
        self.is_cut = false;
        match head {
            Some(head) if head.response.status == 101 => Err(Malformed::Upgrade),
            // The final one follows.
            Some(head) if head.response.status < 200 => Ok(None),
            head => Ok(head),
        }
    }
}
