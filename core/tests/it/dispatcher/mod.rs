//! The dispatcher as a whole, by examples. What holds in every order of events is checked by the models
//! in `engine/state` and by the simulation in `tests/src/sim`.

mod attempts;
mod drain;
mod endpoints;
mod full;
mod retry_after;

use pilot_webhook_core::{After, BreakerState, Config};

use crate::support::bench::{Bench, REFUSED};

/// A bench whose breaker has just opened, with `queued` events waiting.
fn open(config: Config, queued: usize) -> Bench {
    let mut bench = Bench::new(config, 10_000, 1);
    for _ in 0..2 {
        bench.emit(1).unwrap();
        bench.step(0);
        // With hold, the first one opens it.
        while bench.is_attempting(0)
            && let After::Retry(due) = bench.end(0, REFUSED)
        {
            bench.now = due;
            bench.step(0);
        }
    }
    assert_eq!(bench.stats().breaker, BreakerState::Open);
    for _ in 0..queued {
        bench.emit(1).unwrap();
    }
    bench
}
