//! A FIFO of encoded events in one fixed buffer, bounded in bytes (and, by its owner, in events).
//!
//! The buffer is a ring of entries without gaps, each of which may wrap around the end. A leased
//! entry stays where it is until it is removed or released, so a worker that vanishes loses nothing;
//! it was copied out, so nothing borrows from the ring while a request is under way. A lease is of
//! one entry, or of a batch: of entries next to each other. Leased entries are among the first ones,
//! at most one lease for each worker; removing those that are not the first moves those before them.

use crate::queue::entry::Entry;

pub(crate) mod entry;

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

/// What a worker has of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) run: Run,
    /// The node of the first entry.
    pub(crate) node_id: u32,
    /// The id of the last entry.
    pub(crate) last: u64,
    /// Bytes of the body.
    pub(crate) length: usize,
    /// Bytes of the entries that it is made of.
    pub(crate) entries: usize,
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
        self.buffer.as_ref().len().min(Entry::LONGEST)
    }

    /// Bytes that are free, headers to be paid from them.
    pub(crate) fn free(&self) -> usize {
        self.capacity() - self.used
    }

    /// Appends an entry with its texts, whose body has `body` bytes; `false`, and nothing happens,
    /// when it does not fit.
    pub(crate) fn push(&mut self, entry: Entry, texts: &[u8], body: usize) -> bool {
        if entry.size() > self.free() {
            return false;
        }
        self.write(self.used, &entry.to_bytes());
        self.write(self.used + Entry::HEADER, texts);
        self.used += entry.size();
        self.queued_bodies += body;
        self.queued += 1;
        true
    }

    /// Leases the oldest waiting entry, or with `batch` as many from there on as may go together in
    /// a JSON array, and copies them to where the body will end in `out`.
    /// `None` when none waits, or when the body of the oldest is longer than `out`.
    pub(crate) fn lease(&mut self, out: &mut [u8], batch: Option<Batch>) -> Option<Lease> {
        let (first, oldest) = self.find(|entry| !entry.leased)?;
        let Some(batch) = batch else {
            let length = oldest.body_length();
            let start = length - oldest.size();
            self.read(first, out.get_mut(start..length)?);
            self.set_leased(first, oldest, length, true);
            let run = Run { first: oldest.id, count: 1 };
            let Entry { id: last, node_id, .. } = oldest;
            return Some(Lease { run, node_id, last, length, entries: oldest.size() });
        };
        // The array ends, and before each body begins with a byte.
        let run = Run { first: oldest.id, count: 0 };
        let Entry { id: last, node_id, .. } = oldest;
        let mut lease = Lease { run, node_id, last, length: 1, entries: 0 };
        while first + lease.entries < self.used && lease.run.count < batch.most {
            let at = first + lease.entries;
            let entry = self.entry(at);
            let body = entry.body_length();
            let length = lease.length + 1 + body;
            let longest = if lease.run.count == 0 { usize::MAX } else { batch.longest };
            if entry.leased || length > longest.min(out.len()) {
                break;
            }
            self.set_leased(at, entry, body, true);
            lease.run.count += 1;
            lease.last = entry.id;
            lease.length = length;
            lease.entries += entry.size();
        }
        let place = out.get_mut(lease.length - lease.entries..lease.length)?;
        self.read(first, place);
        (lease.run.count > 0).then_some(lease)
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
        let (at, mut entry) = self.find(|entry| entry.leased && entry.id == run.first)?;
        let mut span = Span { at, size: 0, count: 0, bodies: 0 };
        loop {
            let body = entry.body_length();
            self.set_leased(at + span.size, entry, body, false);
            span.size += entry.size();
            span.count += 1;
            span.bodies += body;
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
        self.queued -= span.count;
        self.queued_bodies -= span.bodies;
        if self.used == 0 {
            // A queue that is mostly empty touches the start of its memory only.
            self.head = 0;
        }
    }

    /// Leases an entry whose body has `body` bytes, or ends that.
    fn set_leased(&mut self, at: usize, entry: Entry, body: usize, leased: bool) {
        self.write(at, &Entry { leased, ..entry }.mark());
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
        let mut header = [0; Entry::HEADER];
        self.read(at, &mut header);
        Entry::from_bytes(&header)
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
mod tests;
