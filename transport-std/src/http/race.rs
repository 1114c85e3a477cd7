//! Which address is tried when, until one connects (Happy Eyeballs, RFC 8305, section 5). Decisions only:
//! no I/O, and no clock is read.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

/// How long an attempt has for itself before the next one begins beside it: the standard's
/// recommendation (RFC 8305, section 8).
const STAGGER: Duration = Duration::from_millis(250);
/// The shortest delay, for many addresses in little time. The standard forbids less (section 5).
const STAGGER_MIN: Duration = Duration::from_millis(10);

/// A race of connection attempts to the addresses of one host.
///
/// Its driver asks [`next`](Self::next) what to do, does it, and asks again; when an attempt fails, it
/// says so with [`failed`](Self::failed) first. The first attempt that connects ends the race: the
/// driver drops it, and the other attempts.
pub(crate) struct Race {
    waiting: VecDeque<SocketAddr>,
    running: Vec<SocketAddr>,
    stagger: Duration,
    /// When the next address is due, unless an attempt fails before.
    due: Instant,
    until: Instant,
    failure: Option<(SocketAddr, io::Error)>,
}

/// What the driver of a [`Race`] does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It begins an attempt to connect to this address, and lets the others go on.
    Start(SocketAddr),
    /// It waits until an attempt ends, at most until then.
    Wait(Instant),
    /// No address connected in time: [`Race::into_failure`] says why.
    Lost,
}

impl Race {
    /// A race to `addresses`, in the order in which they are tried, that begins `now` and is lost at
    /// `until`. The attempts begin early enough for the last one to have half of that time.
    pub(crate) fn new(addresses: Vec<SocketAddr>, now: Instant, until: Instant) -> Self {
        let many = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let share = until.saturating_duration_since(now) / 2 / many;
        Self {
            waiting: addresses.into(),
            running: Vec::new(),
            stagger: share.clamp(STAGGER_MIN, STAGGER),
            due: now,
            until,
            failure: None,
        }
    }

    /// What to do at `now`.
    pub(crate) fn next(&mut self, now: Instant) -> Step {
        if now >= self.until {
            let late: Vec<_> = self.running.drain(..).chain(self.waiting.drain(..)).collect();
            for address in late {
                self.failed(address, io::ErrorKind::TimedOut.into(), now);
            }
        }
        if now >= self.due
            && let Some(address) = self.waiting.pop_front()
        {
            self.running.push(address);
            self.due = now + self.stagger;
            return Step::Start(address);
        }
        match (self.running.is_empty(), self.waiting.is_empty()) {
            (true, true) => Step::Lost,
            (false, true) => Step::Wait(self.until),
            (_, false) => Step::Wait(self.due.min(self.until)),
        }
    }

    /// The attempt to connect to `address` failed at `now`: the next address is due at once.
    pub(crate) fn failed(&mut self, address: SocketAddr, error: io::Error, now: Instant) {
        self.running.retain(|running| *running != address);
        self.due = now;
        let known = self.failure.as_ref().map(|(_, known)| weight(known));
        if known.is_none_or(|known| weight(&error) > known) {
            self.failure = Some((address, error));
        }
    }

    /// Of all failures the one that tells most. `None` when there was no address.
    pub(crate) fn into_failure(self) -> Option<(SocketAddr, io::Error)> {
        self.failure
    }
}

/// How informative a failure is about the receiver. A host without IPv6 has no route to any IPv6 address,
/// which must not hide the failures of the others.
fn weight(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::Unsupported => 0,
        // No IPv6 address, or no port left.
        io::ErrorKind::AddrNotAvailable => 1,
        io::ErrorKind::HostUnreachable => 2,
        io::ErrorKind::TimedOut => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What becomes of an attempt.
    #[derive(Clone, Copy, Debug)]
    enum Fate {
        Connects(Duration),
        Fails(Duration, io::ErrorKind),
        IsSilent,
    }

    /// What happened in a race.
    #[derive(Debug)]
    struct Story {
        /// When which address was tried, since the beginning.
        starts: Vec<(Duration, usize)>,
        /// When which address connected.
        won: Option<(Duration, usize)>,
        /// When attempts failed.
        failures: Vec<Duration>,
        end: Duration,
        failure: Option<io::ErrorKind>,
    }

    fn address(n: usize) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, u8::try_from(n).unwrap()], 80))
    }

    fn index(address: SocketAddr) -> usize {
        (0..256).find(|n| self::address(*n) == address).unwrap()
    }

    /// Plays a race in virtual time.
    fn play(fates: &[Fate], time: Duration) -> Story {
        let begin = Instant::now();
        let mut race = Race::new((0..fates.len()).map(address).collect(), begin, begin + time);
        let (mut now, mut running) = (begin, Vec::<(Instant, usize)>::new());
        let (mut starts, mut failures) = (Vec::new(), Vec::new());
        let won = loop {
            match race.next(now) {
                Step::Start(address) => {
                    let n = index(address);
                    starts.push((now - begin, n));
                    let (Fate::Connects(after) | Fate::Fails(after, _)) = fates[n] else {
                        continue;
                    };
                    running.push((now + after, n));
                }
                Step::Wait(until) => {
                    assert!(until > now, "the driver would spin");
                    let first = running.iter().copied().min().filter(|(at, _)| *at <= until);
                    now = first.map_or(until, |(at, _)| at);
                    let Some((_, n)) = first else { continue };
                    running.retain(|(_, other)| *other != n);
                    match fates[n] {
                        Fate::Fails(_, kind) => {
                            failures.push(now - begin);
                            race.failed(address(n), kind.into(), now);
                        }
                        _ => break Some((now - begin, n)),
                    }
                }
                Step::Lost => break None,
            }
        };
        let failure = race.into_failure().map(|(_, error)| error.kind());
        Story { starts, won, failures, end: now - begin, failure }
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// The attempt over IPv4 was cut after half a second because another address came after it.
    #[test]
    fn a_slow_attempt_goes_on_while_others_begin() {
        let no_route = Fate::Fails(ms(0), io::ErrorKind::NetworkUnreachable);
        let story = play(&[Fate::Connects(ms(700)), no_route, no_route], 5 * SECOND);
        assert_eq!(story.won, Some((ms(700), 0)));
        assert_eq!(story.starts, [(ms(0), 0), (ms(250), 1), (ms(250), 2)]);
    }

    #[test]
    fn six_silent_addresses_do_not_hide_the_seventh() {
        let mut fates = [Fate::IsSilent; 7];
        fates[6] = Fate::Connects(ms(600));
        assert_eq!(play(&fates, 5 * SECOND).won, Some((6 * ms(250) + ms(600), 6)));
    }

    #[test]
    fn a_failure_starts_the_next_address_at_once() {
        let refused = Fate::Fails(ms(1), io::ErrorKind::ConnectionRefused);
        let story = play(&[refused, refused, Fate::Connects(ms(1))], SECOND);
        assert_eq!(story.won, Some((ms(3), 2)));
    }

    #[test]
    fn a_missing_family_hides_no_other_failure() {
        let no_route = Fate::Fails(ms(0), io::ErrorKind::NetworkUnreachable);
        let refused = Fate::Fails(ms(1), io::ErrorKind::ConnectionRefused);
        let failure = |fates: &[Fate]| play(fates, SECOND).failure;
        assert_eq!(failure(&[refused, no_route]), Some(io::ErrorKind::ConnectionRefused));
        assert_eq!(failure(&[no_route, refused]), Some(io::ErrorKind::ConnectionRefused));
        assert_eq!(failure(&[Fate::IsSilent, no_route]), Some(io::ErrorKind::TimedOut));
        assert_eq!(failure(&[Fate::IsSilent, refused]), Some(io::ErrorKind::ConnectionRefused));
        assert_eq!(failure(&[no_route]), Some(io::ErrorKind::NetworkUnreachable));
        assert_eq!(failure(&[]), None);
    }

    #[test]
    fn the_failure_that_tells_most_is_kept_and_of_equals_the_first() {
        let kinds = [
            io::ErrorKind::NetworkUnreachable,
            io::ErrorKind::AddrNotAvailable,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::TimedOut,
            io::ErrorKind::ConnectionRefused,
        ];
        let now = Instant::now();
        for (rank, kind) in kinds.iter().enumerate() {
            for (other_rank, other) in kinds.iter().enumerate() {
                let mut race = Race::new(Vec::new(), now, now + SECOND);
                race.failed(address(0), (*kind).into(), now);
                race.failed(address(1), (*other).into(), now);
                let kept = race.into_failure().map(|(address, _)| index(address));
                assert_eq!(kept, Some(usize::from(other_rank > rank)), "{kind}, {other}");
            }
        }
    }

    fn fate() -> impl Strategy<Value = Fate> {
        let time = (0..8_000_u64).prop_map(ms);
        let kinds = [
            io::ErrorKind::NetworkUnreachable,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::TimedOut,
        ];
        prop_oneof![
            time.clone().prop_map(Fate::Connects),
            (prop_oneof![Just(ms(0)), time], prop::sample::select(kinds.to_vec()))
                .prop_map(|(after, kind)| Fate::Fails(after, kind)),
            Just(Fate::IsSilent),
        ]
    }

    proptest! {
        #[test]
        fn any_race(
            fates in prop::collection::vec(fate(), 0..=32),
            time in (0..10_000_u64).prop_map(ms),
        ) {
            let story = play(&fates, time);
            // In order, each once.
            prop_assert!(story.starts.iter().map(|(_, n)| *n).eq(0..story.starts.len()));
            let gap = (time / 2 / u32::try_from(fates.len()).unwrap().max(1)).clamp(STAGGER_MIN, STAGGER);
            for pair in story.starts.windows(2) {
                let waited = pair[1].0 - pair[0].0;
                // Only a failure makes it shorter, and nothing makes it longer.
                prop_assert!(waited == gap || (waited < gap && story.failures.contains(&pair[1].0)));
            }
            // A failure starts the next address at once.
            for failed in &story.failures {
                let is_at_once = story.starts.iter().any(|(at, _)| at == failed);
                let none_is_left = story.starts.len() == fates.len()
                    && story.starts.iter().all(|(at, _)| at <= failed);
                prop_assert!(is_at_once || none_is_left || *failed == time);
            }
            prop_assert!(story.end <= time);
            // The first attempt to connect wins, whatever the others do.
            let connects = story.starts.iter().filter_map(|&(at, n)| match fates[n] {
                Fate::Connects(after) if at + after <= time => Some((at + after, n)),
                _ => None,
            });
            let first = connects.min();
            prop_assert_eq!(story.won.is_some(), first.is_some_and(|(at, _)| at <= story.end));
            prop_assert!(story.won.is_none_or(|won| Some(won) == first));
            match story.won {
                // An address is tried at its turn at the latest.
                Some((at, _)) => for (n, fate) in (0..).zip(&fates) {
                    if let Fate::Connects(after) = fate {
                        prop_assert!(at <= gap * n + *after);
                    }
                },
                // Nobody gives up while there is time, and an attempt or an address left.
                None if story.end < time => {
                    prop_assert_eq!(story.starts.len(), fates.len());
                    prop_assert_eq!(story.failures.len(), fates.len());
                }
                // Nobody waits for attempts that have failed.
                None if !time.is_zero() && story.failures.len() == fates.len() => {
                    prop_assert_eq!(story.failures.last().copied().unwrap_or_default(), time);
                }
                None => prop_assert!(story.failure.is_some() || fates.is_empty()),
            }
        }
    }
}
