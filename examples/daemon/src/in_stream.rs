//! How many messages of a stream have not been sent to anybody yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Of the consumers of each endpoint.
#[derive(Debug, Default)]
pub(crate) struct InStream(Mutex<HashMap<String, Vec<Weak<AtomicU64>>>>);

impl InStream {
    /// What is known of a further consumer of an endpoint, for as long as this lives.
    #[cfg_attr(not(feature = "nats"), allow(dead_code, reason = "gateways have consumers"))]
    pub(crate) fn consumer(&self, endpoint: &str) -> Arc<AtomicU64> {
        let number = Arc::<AtomicU64>::default();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let consumers = all.entry(endpoint.to_owned()).or_default();
        consumers.retain(|it| it.strong_count() > 0);
        consumers.push(Arc::downgrade(&number));
        number
    }

    /// Those of all consumers of an endpoint; `None` when it has none.
    pub(crate) fn of(&self, endpoint: &str) -> Option<u64> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = all.get(endpoint)?.iter().filter_map(Weak::upgrade);
        numbers.map(|number| number.load(Relaxed)).reduce(|sum, number| sum + number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_consumers_of_an_endpoint_are_added_as_long_as_they_are_there() {
        let all = InStream::default();
        assert_eq!(all.of("a"), None);
        let (one, other) = (all.consumer("a"), all.consumer("a"));
        one.store(2, Relaxed);
        other.store(3, Relaxed);
        assert_eq!((all.of("a"), all.of("b")), (Some(5), None));
        drop(one);
        assert_eq!(all.of("a"), Some(3));
        drop(other);
        assert_eq!(all.of("a"), None);
    }
}
