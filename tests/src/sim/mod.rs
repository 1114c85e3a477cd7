//! Deterministic simulation: the real dispatcher and the real worker loop on virtual time.
//!
//! A run is a seed. From it come the config, the number of workers, what happens from outside and
//! when, what the network does, and in which order tasks that can run are polled. Nothing else
//! has an influence, so a seed that breaks a promise breaks it again:
//!
//! ```sh
//! SIM_SEED=4711 cargo test -p pilot-webhook-tests simulation   # one seed, with every step
//! SIM_SEEDS=1000000 SIM_START=10000 cargo test -p pilot-webhook-tests simulation
//! ```
//!
//! The modules: `plan` says what happens from outside, `runner` picks the next step,
//! `executor` and `time` are the platform, `network` is the transport with the receiver behind it,
//! and `world` holds all of it together with core. `ledger` and `gate` predict the result of every
//! step from the specification; `rest` checks what must have happened before time may go on.
//! `shrink` makes a failing run short.

mod executor;
mod gate;
mod ledger;
mod network;
mod plan;
mod rest;
mod rng;
mod runner;
mod shrink;
mod time;
mod world;

pub use rng::Rng;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ledger::Fault;
use plan::Plan;
use runner::{Ran, play};

/// Totals over runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Runs.
    pub runs: u64,
    /// Events emitted.
    pub events: u64,
    /// Attempts made.
    pub attempts: u64,
    /// Polls of tasks.
    pub polls: u64,
    /// Simulated seconds.
    pub seconds: u64,
}

impl Summary {
    fn add(&mut self, ran: Ran) {
        self.runs += 1;
        self.events += ran.events;
        self.attempts += ran.attempts;
        self.polls += ran.polls;
        self.seconds += ran.micros / 1_000_000;
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            runs: self.runs + other.runs,
            events: self.events + other.events,
            attempts: self.attempts + other.attempts,
            polls: self.polls + other.polls,
            seconds: self.seconds + other.seconds,
        }
    }
}

/// A seed that breaks a promise, in the fewest ops that were found to do so.
#[derive(Debug)]
pub struct Failure {
    seed: u64,
    fault: Fault,
    plan: Plan,
    trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, fault, plan, trace } = self;
        writeln!(f, "seed {seed} breaks a promise: {}: {}", fault.rule, fault.detail)?;
        writeln!(f, "\nreplay it: SIM_SEED={seed} cargo test -p pilot-webhook-tests simulation")?;
        writeln!(f, "\nthe plan, cut down to {} ops: {plan:#?}", plan.ops.len())?;
        writeln!(f, "\nits steps, in microseconds:")?;
        trace.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Plays the seeds from `first` up to the one before `end`.
///
/// # Errors
/// The first seed that breaks a promise.
pub fn simulate(first: u64, end: u64) -> Result<Summary, Box<Failure>> {
    let mut summary = Summary::default();
    for seed in first..end {
        let plan = Plan::new(seed);
        match attempt(&plan, false).0 {
            Ok(ran) => summary.add(ran),
            Err(fault) => {
                let plan = shrink::shrink(plan, &fault, |plan| attempt(plan, false).0.err());
                let (ran, trace) = attempt(&plan, true);
                let fault = ran.err().unwrap_or(fault);
                return Err(Box::new(Failure { seed, fault, plan, trace }));
            }
        }
    }
    Ok(summary)
}

/// A panic is a broken promise too.
fn attempt(plan: &Plan, traced: bool) -> (Result<Ran, Fault>, Vec<String>) {
    let play = || match plan.slots {
        1 => play::<1>(plan, traced),
        2 => play::<2>(plan, traced),
        _ => play::<4>(plan, traced),
    };
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let detail = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        let detail = detail.unwrap_or("a panic").to_owned();
        (Err(Fault { rule: "no panic", detail }), Vec::new())
    })
}
