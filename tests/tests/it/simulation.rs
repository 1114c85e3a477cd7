//! Ten thousand simulated worlds; see `pilot_webhook_tests::sim`.

use std::env;
use std::thread;
use std::time::Instant;

use pilot_webhook_tests::sim::{Summary, simulate};

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}: a number")))
}

/// `SIM_SEED` plays one seed, `SIM_SEEDS` so many instead of 10,000, from `SIM_START` on.
#[test]
fn simulation_breaks_no_promise() {
    if let Some(seed) = number("SIM_SEED") {
        return match simulate(seed, seed + 1) {
            Ok(summary) => println!("{summary:?}"),
            Err(failure) => panic!("{failure}"),
        };
    }
    let start = number("SIM_START").unwrap_or(0);
    let seeds = number("SIM_SEEDS").unwrap_or(10_000);
    let threads = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let began = Instant::now();
    let share = |n: u64| start + seeds * n / threads;
    let results: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> =
            (0..threads).map(|n| scope.spawn(move || simulate(share(n), share(n + 1)))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let mut summary = Summary::default();
    for result in results {
        match result {
            Ok(part) => summary = summary.and(part),
            Err(failure) => panic!("{failure}"),
        }
    }
    let took = began.elapsed();
    println!("{summary:?} in {took:?}: {:.0} runs/s", summary.runs as f64 / took.as_secs_f64());
}
