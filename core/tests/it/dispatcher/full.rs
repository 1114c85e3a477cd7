//! Which event a full queue drops.

use pilot_webhook_core::{Config, EmitError, Fate, OnFull};

use crate::support::bench::{Bench, config, status};

#[test]
fn the_newest_is_dropped_by_default_and_leaves_a_gap_in_the_ids() {
    let mut bench = Bench::new(Config { capacity: 2, ..config() }, 1_000, 1);
    assert_eq!(bench.emit(1), Ok(Some(1)));
    assert_eq!(bench.emit(1), Ok(Some(2)));
    assert_eq!(bench.emit(1), Err(EmitError::Full));
    bench.step(0);
    bench.end(0, status(200));
    assert_eq!(bench.emit(1), Ok(Some(4)));
    assert_eq!(bench.stats().dropped, 1);
}

#[test]
fn the_oldest_is_dropped_on_request_but_never_one_in_flight() {
    let mut bench =
        Bench::new(Config { capacity: 2, on_full: OnFull::DropOldest, ..config() }, 1_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.emit(1).unwrap();
    assert_eq!(bench.emit(1), Ok(Some(3)));
    bench.end(0, status(200));
    assert_eq!(bench.fates[&1], Fate::Delivered);
    bench.step(0);
    assert_eq!(bench.started, [1, 3]);
    assert_eq!(bench.stats().dropped, 1);
}

#[test]
fn an_event_that_could_never_fit_drops_no_other() {
    let bench = Bench::new(Config { on_full: OnFull::DropOldest, ..config() }, 150, 1);
    bench.emit(1).unwrap();
    assert!(matches!(bench.emit(150), Err(EmitError::Payload(_))));
    assert_eq!((bench.stats().queued, bench.stats().oversize), (1, 1));
}
