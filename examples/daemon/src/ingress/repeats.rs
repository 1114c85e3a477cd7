//! Tells an event that is posted again from a new one.

use std::collections::{HashSet, VecDeque};

use pilot_webhook_core::Timestamp;

/// How many origins are remembered: the newest, more than the longest POST has. A sender repeats its last POST. A hash
/// table in which entries come and go has twice as many places or more: at most 3.3 MB in all, which grow with the events.
const REMEMBERED: usize = 28_672;

/// Where an event comes from. The same one is the same event: an origin's ids begin at 1 again with each of its
/// starts, and the time tells the events of two starts apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) node_id: u32,
    pub(crate) event_id: u64,
    pub(crate) timestamp: Timestamp,
}

/// The origins of the newest events that were accepted.
pub(crate) struct Repeats {
    known: HashSet<Origin>,
    /// The same, the oldest first.
    order: VecDeque<Origin>,
    limit: usize,
}

impl Repeats {
    pub(crate) fn new() -> Self {
        Self::with_limit(REMEMBERED)
    }

    fn with_limit(limit: usize) -> Self {
        Self { known: HashSet::new(), order: VecDeque::new(), limit }
    }

    /// Whether the event was accepted before.
    pub(crate) fn knows(&self, origin: &Origin) -> bool {
        self.known.contains(origin)
    }

    /// Remembers an event that was accepted, and forgets the oldest one where there are too many.
    pub(crate) fn remember(&mut self, origin: Origin) {
        if self.knows(&origin) {
            return;
        }
        // First, so that neither grows beyond the limit.
        if self.order.len() == self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(origin);
        self.order.push_back(origin);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn origin(node_id: u32, event_id: u64, second: i64) -> Origin {
        Origin { node_id, event_id, timestamp: Timestamp::new(second, 0) }
    }

    #[test]
    fn each_of_the_three_makes_another_event() {
        let mut repeats = Repeats::new();
        repeats.remember(origin(7, 1, 100));
        assert!(repeats.knows(&origin(7, 1, 100)));
        for other in [origin(8, 1, 100), origin(7, 2, 100), origin(7, 1, 101)] {
            assert!(!repeats.knows(&other), "{other:?}");
        }
    }

    #[test]
    fn the_newest_28672_are_remembered_in_bounded_memory() {
        let mut repeats = Repeats::new();
        (0..=100_000).for_each(|id| repeats.remember(origin(7, id, 100)));
        assert!(!repeats.knows(&origin(7, 100_000 - 28_672, 100)));
        assert!((100_001 - 28_672..=100_000).all(|id| repeats.knows(&origin(7, id, 100))));
        // 33 bytes for each of the table's 65,536 places, of which it fills seven of eight, and 32 for each of the list's.
        assert!(repeats.known.capacity() <= 57_344 && repeats.order.capacity() <= 32_768);
    }

    proptest! {
        /// Against a plain list of all that were accepted, the newest of which count.
        #[test]
        fn a_repeat_is_what_is_among_the_newest(
            posts in vec((0_u32..2, 0_u64..6, 0_i64..3), 0..200),
            limit in 1_usize..20,
        ) {
            let mut repeats = Repeats::with_limit(limit);
            let mut accepted = Vec::new();
            for (node_id, event_id, second) in posts {
                let origin = origin(node_id, event_id, second);
                let newest = &accepted[accepted.len().saturating_sub(limit)..];
                let is_repeat = newest.contains(&origin);
                prop_assert_eq!(repeats.knows(&origin), is_repeat);
                if !is_repeat {
                    repeats.remember(origin);
                    accepted.push(origin);
                }
                prop_assert!(repeats.known.len() <= limit);
                prop_assert_eq!(repeats.known.len(), repeats.order.len());
            }
        }
    }
}
