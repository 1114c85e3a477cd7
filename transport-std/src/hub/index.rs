//! Which endpoints an event is for, found without a look at each filter.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use pilot_webhook_core::Event;

use super::endpoint::HubEndpoint;
use super::filter::Filter;
use super::list::Endpoints;

/// The filters by the text that their patterns begin with, which a topic that matches begins with, too.
#[derive(Default)]
pub(super) struct Index {
    /// Those of which a pattern begins with no text: any topic may match.
    everywhere: Vec<usize>,
    /// How long the other texts are, in bytes; each length once.
    lengths: Vec<usize>,
    places: HashMap<Box<str>, Vec<usize>>,
}

impl Index {
    /// That of filters, each with its place.
    pub(super) fn new<'f>(filters: impl Iterator<Item = &'f Filter>) -> Self {
        let mut index = Self::default();
        for (place, filter) in filters.enumerate() {
            for start in filter.starts() {
                match start {
                    "" => index.everywhere.push(place),
                    start => index.places.entry(start.into()).or_default().push(place),
                }
            }
        }
        index.lengths.extend(index.places.keys().map(|start| start.len()));
        index.lengths.sort_unstable();
        index.lengths.dedup();
        index
    }

    /// Appends the places of the filters that may let a topic pass, in their order, each once.
    fn find(&self, topic: &str, found: &mut Vec<usize>) {
        found.extend_from_slice(&self.everywhere);
        let starts = self.lengths.iter().map_while(|length| topic.as_bytes().get(..*length));
        let starts = starts.filter_map(|start| std::str::from_utf8(start).ok());
        found.extend(starts.filter_map(|start| self.places.get(start)).flatten());
        found.sort_unstable();
        found.dedup();
    }
}

thread_local! {
    static KEPT: Cell<Vec<usize>> = const { Cell::new(Vec::new()) };
}

/// The places of the endpoints that an event is for, looked for once. Each thread keeps one list, so that no event takes an
/// allocation.
pub(super) struct Matching(Vec<usize>);

impl Matching {
    pub(super) fn of(list: &Endpoints, event: &Event<'_>) -> Self {
        let mut places = KEPT.try_with(Cell::take).unwrap_or_default();
        list.index().find(event.topic, &mut places);
        places.retain(|n| list.get(*n).is_some_and(|it| it.filter.lets_pass(event)));
        Self(places)
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The endpoints, of the list that they were looked for in.
    pub(super) fn of_list<'l>(
        &self,
        list: &'l Endpoints,
    ) -> impl Iterator<Item = &'l Arc<HubEndpoint>> {
        self.0.iter().filter_map(|n| list.get(*n))
    }
}

impl Drop for Matching {
    fn drop(&mut self) {
        let mut places = std::mem::take(&mut self.0);
        places.clear();
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|kept| kept.set(places));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(filters: &[Filter], topic: &str) -> Vec<usize> {
        let mut found = Vec::new();
        Index::new(filters.iter()).find(topic, &mut found);
        found
    }

    #[test]
    fn a_filter_without_topics_may_let_all_pass() {
        let filters =
            [Filter::new(), Filter::new().topics(["conn.*"]), Filter::new().topics(["*"])];
        assert_eq!(found(&filters, "node.up"), [0, 2]);
        assert_eq!(found(&filters, "conn.fin"), [0, 1, 2]);
        assert_eq!(found(&filters, ""), [0, 2]);
    }

    #[test]
    fn a_topic_is_cut_between_its_letters_only() {
        let filters = [Filter::new().topics(["a*"]), Filter::new().topics(["ä"])];
        assert_eq!(found(&filters, "ä"), [1]);
        assert_eq!(found(&filters, "€"), [] as [usize; 0]);
    }

    proptest! {
        #[test]
        fn no_filter_that_lets_a_topic_pass_is_missed(
            patterns in prop::collection::vec(prop::collection::vec("[ab*ä]{0,4}", 0..3), 0..8),
            topic in "[abä]{0,5}",
        ) {
            let filters: Vec<_> = patterns.iter().map(|it| Filter::new().topics(it)).collect();
            let all = filters.iter().enumerate().filter(|(_, it)| it.matches(&topic, 1));
            let all: Vec<_> = all.map(|(n, _)| n).collect();
            let mut found = found(&filters, &topic);
            prop_assert!(found.is_sorted_by(|a, b| a < b));
            found.retain(|n| filters[*n].matches(&topic, 1));
            prop_assert_eq!(found, all);
        }
    }
}
