//! An event as the queue keeps it: numbers as numbers, then its texts.

use crate::event::Timestamp;

const LEASED: u32 = 1 << 31;
const TRACED: u32 = 1 << 31;

/// What stands before an event's texts, which are its topic and its data as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) timestamp: Timestamp,
    pub(crate) node_id: u32,
    /// Bytes of the topic.
    pub(crate) topic_len: u32,
    /// Bytes of both texts, and of the trace behind them, less than 2^31.
    pub(crate) texts_len: u32,
    /// A trace stands behind the texts.
    pub(crate) has_trace: bool,
    pub(crate) leased: bool,
}

impl Entry {
    /// Bytes of an entry without its texts.
    pub(crate) const HEADER: usize = 32;
    /// The longest texts: their length is kept in 31 bits.
    pub(crate) const LONGEST: usize = i32::MAX as usize;

    /// Bytes of the entry.
    pub(crate) const fn size(self) -> usize {
        Self::HEADER + self.texts_len as usize
    }

    /// The first bytes of an entry: the length of its texts, and whether it is leased.
    pub(crate) const fn mark(self) -> [u8; 4] {
        let leased = if self.leased { LEASED } else { 0 };
        (self.texts_len + leased).to_le_bytes()
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::HEADER] {
        let mut bytes = [0; Self::HEADER];
        bytes[..4].copy_from_slice(&self.mark());
        let traced = if self.has_trace { TRACED } else { 0 };
        bytes[4..8].copy_from_slice(&(self.topic_len + traced).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.id.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.timestamp.seconds().to_le_bytes());
        bytes[24..28].copy_from_slice(&self.timestamp.nanos().to_le_bytes());
        bytes[28..].copy_from_slice(&self.node_id.to_le_bytes());
        bytes
    }

    pub(crate) const fn from_bytes(bytes: &[u8; Self::HEADER]) -> Self {
        let [l0, l1, l2, l3, t0, t1, t2, t3, i0, i1, i2, i3, i4, i5, i6, i7, rest @ ..] = *bytes;
        let [s0, s1, s2, s3, s4, s5, s6, s7, n0, n1, n2, n3, d0, d1, d2, d3] = rest;
        let texts = u32::from_le_bytes([l0, l1, l2, l3]);
        let topic = u32::from_le_bytes([t0, t1, t2, t3]);
        let seconds = i64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        Self {
            id: u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]),
            timestamp: Timestamp::new(seconds, u32::from_le_bytes([n0, n1, n2, n3])),
            node_id: u32::from_le_bytes([d0, d1, d2, d3]),
            topic_len: topic & !TRACED,
            texts_len: texts & !LEASED,
            has_trace: cfg!(feature = "traceparent") && topic & TRACED != 0,
            leased: texts & LEASED != 0,
        }
    }
}
