//! Remembers the addresses that connected, so that a dead one delays the first connection to its host and
//! not each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an address that worked is tried before the resolver's own choice. RFC 8305 (section 4)
/// speaks of ten minutes.
const KNOWN_FOR: Duration = Duration::from_secs(10 * 60);

/// For each host and port the address that connected last. Shared by all transports of a client.
#[derive(Default)]
pub(crate) struct Known {
    addresses: Mutex<HashMap<Place, Found>>,
}

/// A host's name and the port.
type Place = (Box<str>, u16);

#[derive(Clone, Copy)]
struct Found {
    address: IpAddr,
    since: Instant,
}

impl Known {
    /// The address that worked for `host` and `port` in the last ten minutes.
    pub(crate) fn get(&self, host: &str, port: u16, now: Instant) -> Option<IpAddr> {
        let addresses = self.lock();
        let found = addresses.get(&(host.into(), port)).filter(|found| found.is_recent(now))?;
        Some(found.address)
    }

    /// What became of a race to `host` and `port`: the address that connected, or none. One that wins
    /// again is not known for longer: the resolver's choice gets its chance every ten minutes.
    pub(crate) fn set(&self, host: &str, port: u16, winner: Option<IpAddr>, now: Instant) {
        let mut addresses = self.lock();
        // Entries that have expired are removed, so that the map does not grow with every URL.
        addresses.retain(|_, found| found.is_recent(now));
        let place = (host.into(), port);
        match winner {
            None => _ = addresses.remove(&place),
            Some(address) => {
                let found = addresses.entry(place).or_insert(Found { address, since: now });
                if found.address != address {
                    *found = Found { address, since: now };
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Found>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn is_recent(self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < KNOWN_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn an_address_is_known_for_ten_minutes_however_often_it_works() {
        let (known, begin) = (Known::default(), Instant::now());
        let minute = |n: u32| begin + Duration::from_secs(60) * n;
        known.set("a", 80, Some(A), begin);
        known.set("a", 80, Some(A), minute(9));
        assert_eq!(known.get("a", 80, minute(9)), Some(A));
        assert_eq!(known.get("a", 81, begin), None);
        assert_eq!(known.get("b", 80, begin), None);
        assert_eq!(known.get("a", 80, minute(10)), None);
    }

    #[test]
    fn another_winner_takes_its_place_and_a_lost_race_leaves_none() {
        let (known, now) = (Known::default(), Instant::now());
        known.set("a", 80, Some(A), now);
        known.set("a", 80, Some(B), now);
        assert_eq!(known.get("a", 80, now), Some(B));
        known.set("a", 80, None, now);
        assert_eq!(known.get("a", 80, now), None);
    }

    #[test]
    fn hosts_that_nobody_asks_for_are_forgotten() {
        let (known, begin) = (Known::default(), Instant::now());
        for n in 0..100_u32 {
            known.set(&format!("host-{n}"), 80, Some(A), begin + Duration::from_secs(60) * n);
        }
        assert_eq!(known.lock().len(), 10);
    }
}
