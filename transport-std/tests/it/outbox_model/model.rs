//! What the outbox is to be: plain maps.

use std::collections::{BTreeMap, BTreeSet};

use pilot_webhook_std::outbox::{DeadFate, Ledger, Which};

use super::{BOUND, DEAD_MAX, FATES, Letters};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) topic: &'static str,
    pub(crate) data: Option<String>,
    pub(crate) origin: Option<u64>,
    pub(crate) second: i64,
    pub(crate) first_id: Option<u64>,
}

/// By endpoint and id.
pub(crate) type Table<T> = BTreeMap<(usize, u64), T>;

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) last_id: u64,
    pub(crate) stored: Table<Event>,
    pub(crate) dead: Table<(Event, DeadFate)>,
    pub(crate) origins: BTreeMap<(u64, i64), u64>,
    pub(crate) repeats: u64,
    pub(crate) position: Option<String>,
    pub(crate) ledgers: [Ledger; 3],
}

impl Event {
    fn texts(&self) -> u64 {
        (self.topic.len() + self.data.as_ref().map_or(0, String::len)) as u64
    }
}

impl Model {
    fn bytes(&self, endpoint: usize) -> u64 {
        let its = self.stored.range((endpoint, 0)..(endpoint + 1, 0));
        its.map(|(_, event)| event.texts() + 32).sum()
    }

    pub(crate) fn put(&mut self, event: &Event, to: usize) -> u64 {
        if let Some(origin) = event.origin {
            if let Some(id) = self.origins.get(&(origin, event.second)) {
                self.repeats += 1;
                return *id;
            }
            self.origins.insert((origin, event.second), self.last_id + 1);
        }
        self.last_id += 1;
        for endpoint in (0..3).filter(|endpoint| to & (1 << endpoint) != 0) {
            self.ledgers[endpoint].accepted += 1;
            if endpoint == 2 && self.bytes(endpoint) + event.texts() + 32 > BOUND {
                self.ledgers[endpoint].dropped += 1;
            } else {
                self.stored.insert((endpoint, self.last_id), event.clone());
            }
        }
        self.last_id
    }

    pub(crate) fn end(&mut self, endpoint: usize, id: u64, fate: Option<usize>) {
        let Some(event) = self.stored.remove(&(endpoint, id)) else { return };
        let ledger = &mut self.ledgers[endpoint];
        match fate {
            None => ledger.delivered += 1,
            Some(fate) => {
                self.dead.insert((endpoint, id), (event, FATES[fate]));
                *[&mut ledger.rejected, &mut ledger.exhausted, &mut ledger.oversize][fate] += 1;
                let its = self.dead.range((endpoint, 0)..(endpoint + 1, 0));
                let (count, oldest) = (its.clone().count(), its.clone().next());
                if count > DEAD_MAX {
                    let oldest = *oldest.unwrap().0;
                    self.dead.remove(&oldest);
                    ledger.expired += 1;
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, endpoint: usize) {
        let before = self.stored.len();
        self.stored.retain(|(of, _), _| *of != endpoint);
        self.ledgers[endpoint].purged += (before - self.stored.len()) as u64;
    }

    pub(crate) fn which(
        &self,
        some: Letters,
        one: Option<usize>,
    ) -> (Which<'static>, BTreeSet<(usize, u64)>) {
        let its = self.dead.iter().filter(|((of, _), _)| one.is_none_or(|one| one == *of));
        match some {
            Letters::All => (Which::All, its.map(|(key, _)| *key).collect()),
            Letters::Conn => (
                Which::Topic("conn.*"),
                its.filter(|(_, (event, _))| event.topic.starts_with("conn."))
                    .map(|(key, _)| *key)
                    .collect(),
            ),
            Letters::Nth(nth) => {
                let id = its.clone().nth(nth).map_or(u64::MAX >> 1, |((_, id), _)| *id);
                (Which::Id(id), its.map(|(key, _)| *key).filter(|(_, of)| *of == id).collect())
            }
        }
    }

    pub(crate) fn purge(&mut self, keys: &BTreeSet<(usize, u64)>) {
        keys.iter().for_each(|(endpoint, _)| self.ledgers[*endpoint].purged += 1);
        self.dead.retain(|key, _| !keys.contains(key));
    }

    pub(crate) fn replay(&mut self, keys: BTreeSet<(usize, u64)>) {
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_by_key(|(endpoint, id)| (*id, *endpoint));
        for (endpoint, id) in keys {
            let (mut event, _) = self.dead.remove(&(endpoint, id)).unwrap();
            event.first_id = event.first_id.or(Some(id));
            self.last_id += 1;
            self.stored.insert((endpoint, self.last_id), event);
            self.ledgers[endpoint].replayed += 1;
        }
    }

    pub(crate) fn ledger(&self, endpoint: usize) -> Ledger {
        let count = |keys: &mut dyn Iterator<Item = &(usize, u64)>| {
            keys.filter(|(of, _)| *of == endpoint).count() as u64
        };
        let mut ledger = self.ledgers[endpoint];
        ledger.stored = count(&mut self.stored.keys());
        ledger.dead = count(&mut self.dead.keys());
        ledger.stored_bytes = self.bytes(endpoint);
        let Ledger { delivered, dead, purged, expired, aged_out, dropped, stored, .. } = ledger;
        let sum = delivered + dead + purged + expired + aged_out + dropped + stored;
        assert_eq!(ledger.accepted, sum, "the law");
        ledger
    }

    /// The file's: the sum, where an event takes room once, and 16 bytes for each endpoint.
    pub(crate) fn file(&self) -> Ledger {
        let mut sum = Ledger::default();
        for it in [0, 1, 2].map(|endpoint| self.ledger(endpoint)) {
            for (sum, number) in [
                (&mut sum.accepted, it.accepted),
                (&mut sum.delivered, it.delivered),
                (&mut sum.rejected, it.rejected),
                (&mut sum.exhausted, it.exhausted),
                (&mut sum.oversize, it.oversize),
                (&mut sum.replayed, it.replayed),
                (&mut sum.purged, it.purged),
                (&mut sum.expired, it.expired),
                (&mut sum.dropped, it.dropped),
                (&mut sum.dead, it.dead),
                (&mut sum.stored, it.stored),
            ] {
                *sum += number;
            }
        }
        let events: BTreeMap<u64, u64> =
            self.stored.iter().map(|((_, id), event)| (*id, event.texts())).collect();
        sum.stored_bytes = events.values().map(|texts| texts + 16).sum::<u64>() + 16 * sum.stored;
        sum.repeats = self.repeats;
        sum
    }
}
