//! A FIFO of encoded events in one fixed buffer, bounded in bytes (and, by its owner, in events).
//!
//! The buffer is a ring of entries without gaps: a header (length and lease bit, then the envelope)
//! and the texts, which may wrap around the end. The body is made of them when it is read. A leased
//! entry stays where it is until it is removed or released, so a worker that vanishes loses nothing;
//! its body was copied out, so nothing borrows from the ring while a request is under way. A lease
//! is of one entry, or of a batch: of entries next to each other. Leased entries are among the first
//! ones, at most one lease for each worker; removing those that are not the first moves those before
//! them.

use crate::payload::Envelope;

/// Bytes of an entry's header: 4 of length and lease bit, and the envelope.
pub(crate) const HEADER: usize = 4 + Envelope::SIZE;
const LEASED: u32 = 1 << 31;

/// The entries of one lease, next to each other in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Run {
    pub(crate) first: u64,
    pub(crate) count: u32,
}

/// How entries are joined for one body.
#[derive(Clone, Copy)]
pub(crate) struct Batch {
    /// Entries, at most.
    pub(crate) most: u32,
    /// Bytes of the body, at most, unless it is of one entry.
    pub(crate) longest: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    envelope: Envelope,
    /// Of the texts.
    length: usize,
    leased: bool,
}

impl Entry {
    const fn size(self) -> usize {
        HEADER + self.length
    }

    const fn body_length(self) -> usize {
        self.envelope.body_length(self.length)
    }
}

/// Waiting entries that lie next to each other.
#[derive(Clone, Copy)]
struct Span {
    /// The distance of the first one from the head.
    at: usize,
    /// Bytes of all.
    size: usize,
    count: u32,
    /// Bytes of their bodies.
    bodies: usize,
}

#[cfg_attr(test, derive(Clone))]
pub(crate) struct Queue<B> {
    buffer: B,
    head: usize,
    used: usize,
    leased_bytes: usize,
    queued_bodies: usize,
    queued: u32,
    leased: u32,
}

impl<B> Queue<B> {
    pub(crate) const fn new(buffer: B) -> Self {
        Self { buffer, head: 0, used: 0, leased_bytes: 0, queued_bodies: 0, queued: 0, leased: 0 }
    }

    /// Events that wait.
    pub(crate) const fn queued(&self) -> u32 {
        self.queued
    }

    /// Events that are leased.
    pub(crate) const fn leased(&self) -> u32 {
        self.leased
    }

    /// Bytes that are taken.
    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    /// Bytes of the bodies of the entries that wait.
    pub(crate) const fn queued_bodies(&self) -> usize {
        self.queued_bodies
    }

    /// Bytes that dropping could not free.
    pub(crate) const fn leased_bytes(&self) -> usize {
        self.leased_bytes
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Queue<B> {
    /// Bytes of the buffer.
    pub(crate) fn capacity(&self) -> usize {
        // Lengths are kept in 31 bits.
        self.buffer.as_ref().len().min(LEASED as usize - 1)
    }

    /// Bytes that are free, headers to be paid from them.
    pub(crate) fn free(&self) -> usize {
        self.capacity() - self.used
    }

    /// Appends an entry whose body has `body` bytes; `false`, and nothing happens, when it does not
    /// fit.
    #[allow(clippy::cast_possible_truncation, reason = "texts are shorter than 2^31 bytes")]
    pub(crate) fn push(&mut self, envelope: Envelope, texts: &[u8], body: usize) -> bool {
        if HEADER + texts.len() > self.free() {
            return false;
        }
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&(texts.len() as u32).to_le_bytes());
        header[4..].copy_from_slice(&envelope.to_bytes());
        self.write(self.used, &header);
        self.write(self.used + HEADER, texts);
        self.used += HEADER + texts.len();
        self.queued_bodies += body;
        self.queued += 1;
        true
    }

    /// Leases the oldest waiting entry, or with `batch` as many from there on as may go together:
    /// writes the body, or a JSON array of the bodies, to `out`, and returns its length.
    /// `None` when none waits, or when the oldest is longer than `out`.
    pub(crate) fn lease(&mut self, out: &mut [u8], batch: Option<Batch>) -> Option<(Run, usize)> {
        let (mut at, oldest) = self.find(|entry| !entry.leased)?;
        let mut run = Run { first: oldest.envelope.id, count: 1 };
        let Some(batch) = batch else {
            let length = self.body(at, oldest, out)?;
            self.set_leased(at, oldest, length, true);
            return Some((run, length));
        };
        run.count = 0;
        let mut length = 0;
        while at < self.used && run.count < batch.most {
            let entry = self.entry(at);
            // One byte stands before each body, and one at the end of the array.
            let room = if run.count == 0 { out.len() } else { out.len().min(batch.longest) };
            let place = out.get_mut(length + 1..room.saturating_sub(1));
            let Some(body) =
                place.filter(|_| !entry.leased).and_then(|out| self.body(at, entry, out))
            else {
                break;
            };
            out[length] = if run.count == 0 { b'[' } else { b',' };
            self.set_leased(at, entry, body, true);
            run.count += 1;
            length += 1 + body;
            at += entry.size();
        }
        *out.get_mut(length)? = b']';
        (run.count > 0).then_some((run, length + 1))
    }

    /// Ends a lease and leaves its entries in their places. Returns how many there were.
    pub(crate) fn release(&mut self, run: Run) -> u32 {
        self.end_lease(run).map_or(0, |span| span.count)
    }

    /// Ends a lease and removes its entries. Returns how many there were.
    pub(crate) fn settle(&mut self, run: Run) -> u32 {
        let Some(span) = self.end_lease(run) else { return 0 };
        self.remove(span);
        span.count
    }

    /// Removes the oldest waiting entry.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let oldest = self.find(|entry| !entry.leased).map(|(at, entry)| {
            self.remove(Span { at, size: entry.size(), count: 1, bodies: entry.body_length() });
        });
        oldest.is_some()
    }

    /// Takes the leases off a run.
    fn end_lease(&mut self, run: Run) -> Option<Span> {
        let (at, _) = self.find(|entry| entry.leased && entry.envelope.id == run.first)?;
        let mut span = Span { at, size: 0, count: 0, bodies: 0 };
        while at + span.size < self.used && span.count < run.count {
            let entry = self.entry(at + span.size);
            let body = entry.body_length();
            self.set_leased(at + span.size, entry, body, false);
            span.size += entry.size();
            span.count += 1;
            span.bodies += body;
        }
        Some(span)
    }

    fn remove(&mut self, span: Span) {
        self.slide(span.at, span.size);
        self.head = self.wrap(span.size);
        self.used -= span.size;
        self.queued -= span.count;
        self.queued_bodies -= span.bodies;
        if self.used == 0 {
            // A queue that is mostly empty touches the start of its memory only.
            self.head = 0;
        }
    }

    /// Leases an entry whose body has `body` bytes, or ends that.
    #[allow(clippy::cast_possible_truncation, reason = "texts are shorter than 2^31 bytes")]
    fn set_leased(&mut self, at: usize, entry: Entry, body: usize, leased: bool) {
        let bit = if leased { LEASED } else { 0 };
        self.write(at, &(entry.length as u32 | bit).to_le_bytes());
        if leased {
            self.leased_bytes += entry.size();
            self.queued_bodies -= body;
            self.leased += 1;
            self.queued -= 1;
        } else {
            self.leased_bytes -= entry.size();
            self.queued_bodies += body;
            self.leased -= 1;
            self.queued += 1;
        }
    }

    /// The entry that begins at a distance from the head.
    fn entry(&self, at: usize) -> Entry {
        let (mut length, mut envelope) = ([0; 4], [0; Envelope::SIZE]);
        self.read(at, &mut length);
        self.read(at + length.len(), &mut envelope);
        let length = u32::from_le_bytes(length);
        Entry {
            envelope: Envelope::from_bytes(&envelope),
            length: (length & !LEASED) as usize,
            leased: length & LEASED != 0,
        }
    }

    /// The first entry that matches, with its distance from the head.
    fn find(&self, matches: impl Fn(&Entry) -> bool) -> Option<(usize, Entry)> {
        let mut at = 0;
        while at < self.used {
            let entry = self.entry(at);
            if matches(&entry) {
                return Some((at, entry));
            }
            at += entry.size();
        }
        None
    }

    /// Writes the body of the entry at `at` to `out` and returns its length, if it has the room.
    fn body(&self, at: usize, entry: Entry, out: &mut [u8]) -> Option<usize> {
        let texts = at + HEADER;
        entry.envelope.body(entry.length, out, |from, part| self.read(texts + from, part)).ok()
    }

    /// The place in the buffer that is `distance` from the head.
    fn wrap(&self, distance: usize) -> usize {
        let place = self.head + distance;
        if place >= self.capacity() { place - self.capacity() } else { place }
    }

    fn write(&mut self, distance: usize, bytes: &[u8]) {
        let place = self.wrap(distance);
        let (first, second) = bytes.split_at(bytes.len().min(self.capacity() - place));
        let buffer = self.buffer.as_mut();
        buffer[place..place + first.len()].copy_from_slice(first);
        if !second.is_empty() {
            buffer[..second.len()].copy_from_slice(second);
        }
    }

    fn read(&self, distance: usize, out: &mut [u8]) {
        let place = self.wrap(distance);
        let (first, second) = out.split_at_mut(out.len().min(self.capacity() - place));
        let buffer = self.buffer.as_ref();
        first.copy_from_slice(&buffer[place..place + first.len()]);
        if !second.is_empty() {
            second.copy_from_slice(&buffer[..second.len()]);
        }
    }

    /// Moves the first `length` bytes of the ring towards the tail by `by`, from their end on.
    fn slide(&mut self, length: usize, by: usize) {
        let mut left = length;
        while left > 0 {
            // Ends are exclusive, so the start of the buffer is its end.
            let end = |place| if place == 0 { self.capacity() } else { place };
            let (from, to) = (end(self.wrap(left)), end(self.wrap(left + by)));
            let chunk = left.min(from).min(to);
            self.buffer.as_mut().copy_within(from - chunk..from, to - chunk);
            left -= chunk;
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
