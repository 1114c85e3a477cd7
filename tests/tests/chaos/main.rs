//! The daemon, against two receivers that are stopped, killed, frozen, slow and out of their
//! mind, with swaps between them.
//!
//!     PILOT_CHAOS=1 cargo test -p pilot-webhook-tests --test chaos
//!
//! takes three minutes, so that it is skipped, loudly, unless asked for. `CHAOS_WORLD` plays one of
//! the four worlds, `hold`, `batch`, `wide` or `skip`. `CHAOS_SEED` plays another schedule, and
//! `CHAOS_SECONDS` a longer one; what a failed run printed first plays it again. `PILOT_WEBHOOKD` names a
//! daemon that is built already; otherwise a release build is made.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test should say where and why at once"
)]

mod check;
mod daemon;
mod emitter;
mod process;
mod receiver;
mod schedule;
mod wide;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use check::Arrived;
use daemon::count;
use emitter::{Lines, RATE};
use pilot_webhook_tests::PLACES;
use pilot_webhook_tests::sim::Rng;
use wide::Wide;
use world::{Seen, World};

/// How long an end may take after all is well. Arbitrary: a full queue takes a second.
const END: Duration = Duration::from_secs(120);

/// What is common to both runs: short times, so that much happens.
const QUICK: [&str; 8] = [
    "--http-timeout",
    "400ms",
    "--retry-backoff",
    "50ms",
    "--circuit-cooldown",
    "500ms",
    "--circuit-threshold",
    "3",
];

/// A world: its name, what plays it, and the divisor of `CHAOS_SECONDS` for its length.
type Play = (&'static str, fn(&Path, u64, Duration) -> Result<(), String>, u64);

const WORLDS: [Play; 4] =
    [("hold", hold, 1), ("batch", batch, 2), ("wide", wide, 2), ("skip", skip, 2)];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [role, address, wide @ ..] = &arguments[..]
        && role == receiver::ROLE
    {
        let wide = wide.first().map(Path::new);
        return exit(receiver::serve(address, wide).map_err(|error| error.to_string()));
    }
    if std::env::var_os("PILOT_CHAOS").is_none_or(|value| value != "1") {
        eprintln!(
            "\n!!! SKIPPED: chaos, end to end\n!!! set PILOT_CHAOS=1 for its three minutes\n"
        );
        return ExitCode::SUCCESS;
    }
    exit(run())
}

fn exit(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let number = |name: &str, otherwise: u64| match std::env::var(name) {
        Ok(text) => text.parse().map_err(|error| format!("{name}={text}: {error}")),
        Err(_) => Ok(otherwise),
    };
    let (seed, seconds) = (number("CHAOS_SEED", 1)?, number("CHAOS_SECONDS", 60)?);
    let wanted = std::env::var("CHAOS_WORLD").ok();
    let mut played = WORLDS.to_vec();
    played.retain(|(name, ..)| wanted.as_ref().is_none_or(|wanted| wanted == name));
    if played.is_empty() {
        return Err(format!("CHAOS_WORLD={wanted:?}: no such world"));
    }
    let daemon = daemon::build()?;
    println!("chaos: CHAOS_SEED={seed} CHAOS_SECONDS={seconds}, {RATE} events/s");
    for (_, play, share) in played {
        play(&daemon, seed, Duration::from_secs(seconds / share))?;
    }
    Ok(())
}

/// Nothing is lost, the order is kept, and the daemon takes no more than before.
fn hold(daemon: &Path, seed: u64, whole: Duration) -> Result<(), String> {
    let steps = schedule::steps(&mut Rng::new(seed, 1), whole, false);
    hold_with("hold", daemon, &[], &steps, None)
}

/// The same with several events in a request.
fn batch(daemon: &Path, seed: u64, whole: Duration) -> Result<(), String> {
    let steps = schedule::steps(&mut Rng::new(seed, 3), whole, false);
    hold_with("batch", daemon, &["--batch", "32", "--batch-delay", "20ms"], &steps, None)
}

/// The same over TLS, with several requests at a time, which keep no order.
fn wide(daemon: &Path, seed: u64, whole: Duration) -> Result<(), String> {
    let steps = schedule::steps(&mut Rng::new(seed, 4), whole, false);
    let wide = Wide::new()?;
    let certificate = wide.certificate();
    let certificate = certificate.to_str().ok_or("a temporary path is not text")?;
    let options = ["--max-in-flight", "8", "--ca-file", certificate];
    hold_with("wide", daemon, &options, &steps, Some(&wide))
}

fn hold_with(
    name: &str,
    daemon: &Path,
    options: &[&str],
    steps: &[schedule::Step],
    wide: Option<&Wide>,
) -> Result<(), String> {
    let options = [&QUICK[..], &["--on-open", "hold"], options].concat();
    let world = World::start(daemon, &options, Lines::Good, wide)?;
    let end = play(name, world, steps)?;
    check::held(&end.stats, end.emitted, &end.arrived)?;
    check::flat(&end.seen)
}

/// Every event is in a named counter.
fn skip(daemon: &Path, seed: u64, whole: Duration) -> Result<(), String> {
    let policies = ["--on-open", "skip", "--on-full", "drop-newest", "--queue-capacity", "64"];
    let options = [&QUICK[..], &policies].concat();
    let steps = schedule::steps(&mut Rng::new(seed, 2), whole, true);
    let world = World::start(daemon, &options, Lines::Mixed, None)?;
    let end = play("skip", world, &steps)?;
    check::counted(&end.stats, end.emitted, &end.arrived)?;
    check::flat(&end.seen)
}

struct End {
    stats: serde_json::Value,
    emitted: emitter::Emitted,
    arrived: Arrived,
    seen: Seen,
}

fn play(name: &str, mut world: World, steps: &[schedule::Step]) -> Result<End, String> {
    println!("\nchaos, {name}: {} faults", steps.len());
    let begun = Instant::now();
    for (number, step) in steps.iter().enumerate() {
        println!("  {:5.1} s  {number:3}: {step}", begun.elapsed().as_secs_f64());
        world.play(step)?;
    }
    let seen = world.calm()?;
    let took = begun.elapsed();
    let World { daemon, emitter, mut receivers, .. } = world;
    let emitted = emitter.finish(END).map_err(|error| daemon.explain(&error))?;
    let stats = daemon.end(END)?;
    for receiver in &mut receivers {
        receiver.stop()?;
    }
    let arrivals = receivers.each_ref().map(receiver::Receiver::arrivals);
    let is_ordered = !receivers.iter().any(receiver::Receiver::is_wide);
    let arrived = Arrived::at(&arrivals, is_ordered)?;
    let end = End { stats, emitted, arrived, seen };
    report(name, took, steps.len(), &end);
    Ok(end)
}

fn report(name: &str, took: Duration, faults: usize, end: &End) {
    let End { stats, emitted, arrived, seen } = end;
    let counters: Vec<_> = ["emitted"]
        .iter()
        .chain(&PLACES)
        .chain(&["attempts", "circuit_opens", "bad_lines"])
        .map(|key| format!("{key} {}", count(stats, key)))
        .collect();
    println!("chaos, {name}: {:.1} s, {faults} faults, {} swaps", took.as_secs_f64(), seen.swaps);
    println!("  {}", counters.join(", "));
    println!(
        "  {} events written; {} requests arrived, with {} events; {} delivered more than once",
        emitted.events,
        arrived.all,
        arrived.ids.len(),
        arrived.again,
    );
    println!(
        "  resident {} KiB, at most {}, in the end {}; descriptors {}, at most {}, in the end {}; \
         {} looks",
        seen.before.rss,
        seen.most.rss,
        seen.after.rss,
        seen.before.fds,
        seen.most.fds,
        seen.after.fds,
        seen.looks,
    );
}
