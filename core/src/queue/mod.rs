//! A FIFO of encoded events in one fixed buffer, bounded in bytes (and, by its owner, in events).
//!
//! The buffer is a ring of entries without gaps, each of which may wrap around the end. A leased
//! entry stays where it is until it is removed or released, so a worker that vanishes loses nothing;
//! it was copied out, so nothing borrows from the ring while a request is under way. A lease is of
//! one entry, or of a batch: of entries next to each other. Leased entries are among the first ones,
//! at most one lease for each worker; removing those that are not the first moves those before them.

use crate::event::Timestamp;
use crate::queue::entry::Entry;

mod bound;
mod encoded;
pub(crate) mod entry;
mod events;

pub use bound::Bound;
pub(crate) use encoded::Encoded;
pub use events::{EventRef, Events, Text};

/// Whether what does not wrap around the end is written, and moved, at once. On a microcontroller the 400 bytes of code are
/// dearer than the time.
const IN_ONE_PIECE: bool = cfg!(target_pointer_width = "64");

/// The entries of one lease, next to each other in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct LeaseRange {
    pub(crate) first: u64,
    pub(crate) count: u32,
}

/// What a worker has of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) run: LeaseRange,
    /// The node of the first entry.
    pub(crate) node_id: u32,
    /// The id of the last entry.
    pub(crate) last: u64,
    /// Bytes of the entries, headers included.
    pub(crate) size: usize,
}

impl Lease {
    /// Bytes of the texts of the entries.
    pub(crate) const fn texts(&self) -> usize {
        self.size - Entry::HEADER * self.run.count as usize
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
}

#[cfg_attr(test, derive(Clone))]
pub(crate) struct Queue<B> {
    buffer: B,
    head: usize,
    used: usize,
    /// The distance of an entry, or of the end. All entries before it are leased, so a search for one that waits begins there.
    waiting: usize,
    leased_bytes: usize,
    queued: u32,
    leased: u32,
}

impl<B> Queue<B> {
    pub(crate) const fn new(buffer: B) -> Self {
        Self { buffer, head: 0, used: 0, waiting: 0, leased_bytes: 0, queued: 0, leased: 0 }
    }

    /// Events that wait.
    pub(crate) const fn queued(&self) -> u32 {
        self.queued
    }

    /// Events that wait or are leased.
    pub(crate) const fn held(&self) -> u32 {
        self.queued + self.leased
    }

    /// Events that are leased.
    pub(crate) const fn leased(&self) -> u32 {
        self.leased
    }

    /// Bytes that are taken.
    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    /// Bytes of the texts of the entries that wait.
    pub(crate) const fn queued_texts(&self) -> usize {
        self.used - self.leased_bytes - Entry::HEADER * self.queued as usize
    }

    /// Bytes that dropping could not free.
    pub(crate) const fn leased_bytes(&self) -> usize {
        self.leased_bytes
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Queue<B> {
    /// Bytes of the buffer.
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.as_ref().len().min(Entry::LONGEST)
    }

    /// Bytes that are free, headers to be paid from them.
    pub(crate) fn free(&self) -> usize {
        self.capacity() - self.used
    }

    /// The time of the first entry, leased or not.
    pub(crate) fn first_time(&self) -> Option<Timestamp> {
        self.find(0, |_| true).map(|(_, entry)| entry.timestamp)
    }

    /// Appends an entry with its texts; `false`, and nothing happens, when it does not fit.
    #[allow(clippy::inline_always, reason = "37 of 943 instructions of an emit")]
    #[inline(always)]
    pub(crate) fn push(&mut self, entry: Entry, texts: &[u8]) -> bool {
        if entry.size() > self.free() {
            return false;
        }
        let (at, header) = (self.used, entry.to_bytes());
        let whole = self.tail_mut(at).get_mut(..entry.size()).filter(|_| IN_ONE_PIECE);
        if let Some((start, rest)) = whole.and_then(|whole| whole.split_first_chunk_mut()) {
            *start = header;
            copy(texts, rest);
        } else {
            self.write(at, &header);
            self.write(at + Entry::HEADER, texts);
        }
        self.used += entry.size();
        self.queued += 1;
        true
    }

    /// The oldest of the waiting entries.
    pub(crate) fn oldest(&mut self) -> Option<u64> {
        let (at, entry) = self.find(self.waiting, |entry| !entry.leased)?;
        self.waiting = at;
        Some(entry.id)
    }

    /// The oldest of the waiting entries that pass.
    pub(crate) fn oldest_that(&self, passes: impl Fn(u64) -> bool) -> Option<u64> {
        self.find(self.waiting, |entry| !entry.leased && passes(entry.id))
            .map(|(_, entry)| entry.id)
    }

    /// Leases the waiting entry `id` and those next to it, as many as `fits` agrees to, which is asked with
    /// the number of entries and the bytes of their texts; copies them to the end of `buffer`. `None` when it
    /// does not wait, or does not fit.
    pub(crate) fn lease(
        &mut self,
        id: u64,
        buffer: &mut [u8],
        fits: impl Fn(u32, usize) -> bool,
    ) -> Option<Lease> {
        let (first, oldest) = self.find_id(id, false)?;
        let node_id = oldest.node_id;
        let mut lease =
            Lease { run: LeaseRange { first: id, count: 0 }, node_id, last: id, size: 0 };
        let mut next = Some(oldest);
        while let Some(entry) = next.filter(|entry| !entry.leased) {
            let longer = Lease {
                run: LeaseRange { count: lease.run.count + 1, ..lease.run },
                last: entry.id,
                size: lease.size + entry.size(),
                ..lease
            };
            if longer.size > buffer.len() || !fits(longer.run.count, longer.texts()) {
                break;
            }
            self.set_leased(first + lease.size, entry, true);
            lease = longer;
            let at = first + lease.size;
            next = (at < self.used).then(|| self.entry(at));
        }
        let place = buffer.len() - lease.size;
        self.read(first, buffer.get_mut(place..)?);
        (lease.run.count > 0).then_some(lease)
    }

    /// Copies the entries of a lease to the end of `buffer` once more. `None` when they do not fit.
    pub(crate) fn copy(&self, run: LeaseRange, buffer: &mut [u8]) -> Option<Lease> {
        let (first, Entry { id, node_id, .. }) = self.find_id(run.first, true)?;
        let mut lease = Lease { run, node_id, last: id, size: 0 };
        for _ in 0..run.count {
            let entry = self.entry(first + lease.size);
            lease = Lease { last: entry.id, size: lease.size + entry.size(), ..lease };
        }
        let place = buffer.len().checked_sub(lease.size)?;
        self.read(first, buffer.get_mut(place..)?);
        Some(lease)
    }

    /// Leases the waiting entry `id`, without a copy; `false` when it does not wait.
    pub(crate) fn hold(&mut self, id: u64) -> bool {
        let found = self.find_id(id, false);
        if let Some((at, entry)) = found {
            self.set_leased(at, entry, true);
        }
        found.is_some()
    }

    /// The entry behind those of a lease.
    pub(crate) fn following(&self, run: LeaseRange) -> Option<u64> {
        let (mut at, _) = self.find_id(run.first, true)?;
        for _ in 0..run.count {
            at += self.entry(at).size();
        }
        (at < self.used).then(|| self.entry(at).id)
    }

    /// Ends a lease and leaves its entries in their places. Returns how many there were.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn release(&mut self, run: LeaseRange) -> u32 {
        let Some(span) = self.end_lease(run) else { return 0 };
        self.waiting = self.waiting.min(span.at);
        span.count
    }

    /// Ends a lease and removes its entries. Returns how many there were.
    pub(crate) fn settle(&mut self, run: LeaseRange) -> u32 {
        let Some(span) = self.end_lease(run) else { return 0 };
        self.remove(span);
        span.count
    }

    /// Removes the waiting entry `id`; `false` when it does not wait.
    pub(crate) fn drop_waiting(&mut self, id: u64) -> bool {
        let Some((at, entry)) = self.find_id(id, false) else { return false };
        self.remove(Span { at, size: entry.size(), count: 1 });
        true
    }

    /// Takes the leases off a run.
    fn end_lease(&mut self, run: LeaseRange) -> Option<Span> {
        let (at, mut entry) = self.find_id(run.first, true)?;
        let mut span = Span { at, size: 0, count: 0 };
        loop {
            self.set_leased(at + span.size, entry, false);
            span.size += entry.size();
            span.count += 1;
            if span.count >= run.count {
                return Some(span);
            }
            entry = self.entry(at + span.size);
        }
    }

    fn remove(&mut self, span: Span) {
        self.slide(span.at, span.size);
        self.head = self.wrap(span.size);
        self.used -= span.size;
        if span.at < self.waiting {
            // It may stand within the span.
            self.waiting = self.waiting.saturating_sub(span.size).max(span.at);
        }
        self.queued -= span.count;
        if self.used == 0 {
            // A queue that is mostly empty touches the start of its memory only.
            self.head = 0;
        }
    }

    /// Leases an entry, or ends that.
    fn set_leased(&mut self, at: usize, entry: Entry, leased: bool) {
        self.write(at, &Entry { leased, ..entry }.mark());
        if leased {
            self.leased_bytes += entry.size();
            self.leased += 1;
            self.queued -= 1;
        } else {
            self.leased_bytes -= entry.size();
            self.leased -= 1;
            self.queued += 1;
        }
    }

    /// The entry that begins at a distance from the head.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn entry(&self, at: usize) -> Entry {
        if let Some(header) = self.tail(at).first_chunk() {
            return Entry::from_bytes(header);
        }
        let mut header = [0; Entry::HEADER];
        self.read(at, &mut header);
        Entry::from_bytes(&header)
    }

    /// The entry `id`, if it is leased or waits as told, with its distance from the head.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn find_id(&self, id: u64, leased: bool) -> Option<(usize, Entry)> {
        let from = if leased { 0 } else { self.waiting };
        self.find(from, |entry| entry.id == id && entry.leased == leased)
    }

    /// The first entry from a distance on that matches, with its distance from the head.
    fn find(&self, from: usize, matches: impl Fn(&Entry) -> bool) -> Option<(usize, Entry)> {
        let mut at = from;
        while at < self.used {
            let entry = self.entry(at);
            if matches(&entry) {
                // Read again, so that only what is asked for is read of those that do not match.
                return Some((at, self.entry(at)));
            }
            at += entry.size();
        }
        None
    }

    /// The place in the buffer that is `distance` from the head.
    fn wrap(&self, distance: usize) -> usize {
        let place = self.head + distance;
        if place >= self.capacity() { place - self.capacity() } else { place }
    }

    /// The ring from a distance on, up to the end of the buffer.
    fn tail(&self, distance: usize) -> &[u8] {
        self.buffer.as_ref().get(self.wrap(distance)..self.capacity()).unwrap_or_default()
    }

    fn tail_mut(&mut self, distance: usize) -> &mut [u8] {
        let (place, capacity) = (self.wrap(distance), self.capacity());
        self.buffer.as_mut().get_mut(place..capacity).unwrap_or_default()
    }

    fn write(&mut self, distance: usize, bytes: &[u8]) {
        let end = self.tail_mut(distance);
        let (first, second) = bytes.split_at(bytes.len().min(end.len()));
        copy(first, end);
        copy(second, self.buffer.as_mut());
    }

    fn read(&self, distance: usize, out: &mut [u8]) {
        let end = self.tail(distance);
        let (first, second) = out.split_at_mut(out.len().min(end.len()));
        copy(end, first);
        copy(self.buffer.as_ref(), second);
    }

    /// Moves the first `length` bytes of the ring towards the tail by `by`, from their end on.
    fn slide(&mut self, length: usize, by: usize) {
        let (head, capacity) = (self.head, self.capacity());
        if IN_ONE_PIECE
            && let Some(whole) = self.buffer.as_mut().get_mut(head..capacity)
            && length + by <= whole.len()
        {
            whole.copy_within(..length, by);
            return;
        }
        let mut piece = [0; 64];
        let mut left = length;
        while left > 0 {
            let (piece, _) = piece.split_at_mut(left.min(64));
            left -= piece.len();
            self.read(left, piece);
            self.write(left + by, piece);
        }
    }
}

/// Copies as many bytes as both have.
#[cfg_attr(target_pointer_width = "32", inline(never))]
fn copy(from: &[u8], to: &mut [u8]) {
    let length = from.len().min(to.len());
    if length == 0 {
        return;
    }
    if let (Some(from), Some(to)) = (from.get(..length), to.get_mut(..length)) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests;
