//! When a receiver comes back: not all nodes at one instant, and not all events at once.

use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Backoff, BreakerState, Config, Delivery, Dispatcher, EndpointBuf, ErrorKind, Event, Instant,
    Next, OnOpen, PilotFormat, Policy, RetryAfter, Timestamp,
};
use proptest::prelude::*;

const NOW: Instant = Instant::from_micros(1_000_000);
const COOLDOWN: Duration = Duration::from_secs(100);

type Core = Dispatcher<NoopRawMutex, Vec<u8>, EndpointBuf<64>, (), 512>;

fn core(jitter_percent: u8, seed: u64) -> Core {
    let config = Config {
        max_in_flight: 256,
        max_attempts: 1,
        circuit_threshold: 1,
        circuit_cooldown: COOLDOWN,
        on_open: OnOpen::Hold,
        backoff: Backoff { jitter_percent, ..Backoff::DEFAULT },
        ..Config::DEFAULT
    };
    let core = Core::new(config, vec![0; 100_000], seed);
    core.swap(EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap()).unwrap();
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    for _ in 0..500 {
        core.emit(&event, &(), &mut [0; 64]).unwrap();
    }
    core
}

fn take(core: &Core, now: Instant) -> Option<Delivery> {
    match core.next(now, PilotFormat::BOUND, &mut [0; 512]).0 {
        Next::Attempt(delivery) => Some(delivery),
        Next::Idle(_) | Next::Wait(_) => None,
        other => panic!("{other:?}"),
    }
}

fn fail(core: &Core, retry_after: Option<u64>) {
    let mut delivery = take(core, NOW).unwrap();
    let result = retry_after.map_or(Err(ErrorKind::Connect), |seconds| {
        let retry_after = Some(RetryAfter::Delay(Duration::from_secs(seconds)));
        Ok(Response { status: 503, retry_after }.into())
    });
    core.finish(&mut delivery, result, NOW, Timestamp::UNIX_EPOCH);
}

fn succeed(core: &Core, mut delivery: Delivery, now: Instant) {
    core.finish(&mut delivery, Ok(Response::status(204).into()), now, Timestamp::UNIX_EPOCH);
}

/// Until when nothing goes out.
fn quiet(core: &Core) -> Duration {
    match core.next(NOW, PilotFormat::BOUND, &mut [0; 512]).0 {
        Next::Wait(until) => until.saturating_since(NOW),
        other => panic!("{other:?}"),
    }
}

proptest! {
    /// A fleet came back at the instant when the cooldown, or the `Retry-After`, was over.
    #[test]
    fn with_jitter_nodes_come_back_one_by_one_and_never_too_early(
        seed: u64, percent in 1_u8..=100, asked in prop_oneof![Just(None), Just(Some(40)), Just(Some(400))],
    ) {
        let exact = asked.map_or(COOLDOWN, Duration::from_secs);
        let waits = |percent| [seed, seed ^ 1, seed.wrapping_add(77)].map(|seed| {
            let core = core(percent, seed);
            fail(&core, asked);
            quiet(&core)
        });
        // Where nobody asked for jitter, the time is exact.
        prop_assert_eq!(waits(0), [exact; 3]);
        let waits = waits(percent);
        for wait in waits {
            prop_assert!(wait >= exact && wait <= exact + exact * u32::from(percent) / 100, "{wait:?}");
        }
    }

    /// With 64 in flight, all 64 went out at the instant when the probe had ended well.
    #[test]
    fn after_a_recovery_no_more_are_under_way_than_have_ended_well_and_one(
        ends in prop::collection::vec((any::<bool>(), 0_usize..8), 1..200),
    ) {
        let core = core(0, 1);
        fail(&core, None);
        let now = NOW + COOLDOWN;
        let probe = take(&core, now).unwrap();
        prop_assert!(take(&core, now).is_none(), "one probe");
        succeed(&core, probe, now);
        let (mut sending, mut ended_well) = (Vec::new(), 0);
        for (is_well, n) in ends {
            while let Some(delivery) = take(&core, now) {
                sending.push(delivery);
            }
            prop_assert_eq!(sending.len(), ended_well + 1);
            let n = n % sending.len();
            if is_well {
                succeed(&core, sending.swap_remove(n), now);
                ended_well += 1;
            } else {
                // A worker that vanishes makes room, too.
                core.release(&mut sending[n]);
                sending.swap_remove(n);
            }
        }
    }
}

#[test]
fn two_nodes_with_jitter_come_back_at_different_times() {
    let waits: Vec<_> = (0..20)
        .map(|seed| {
            let core = core(50, seed);
            fail(&core, None);
            quiet(&core)
        })
        .collect();
    let different: std::collections::HashSet<_> = waits.iter().collect();
    assert!(different.len() > 10, "{waits:?}");
}

#[test]
fn another_receiver_is_not_started_slowly() {
    let core = core(0, 1);
    fail(&core, None);
    let now = NOW + COOLDOWN;
    let probe = take(&core, now).unwrap();
    succeed(&core, probe, now);
    assert_eq!(core.stats().breaker, BreakerState::Closed);
    let _first = take(&core, now).unwrap();
    assert!(take(&core, now).is_none());
    core.swap(EndpointBuf::parse("http://127.0.0.2/", Policy::default()).unwrap()).unwrap();
    let sending: Vec<_> = std::iter::from_fn(|| take(&core, now)).take(64).collect();
    assert_eq!(sending.len(), 64);
}
