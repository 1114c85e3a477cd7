//! Events into the daemon's standard input, at a steady rate for as long as it takes them.

use std::io::{BufWriter, Write};
use std::process::ChildStdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Events a second.
pub(crate) const RATE: u64 = 500;
/// How often a bunch of them is written.
const TICK: Duration = Duration::from_millis(10);
/// Longer than the daemon's longest payload, and shorter than its longest line.
const OVERSIZE: usize = 70_000;

/// What the lines hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    Good,
    /// One in 500 is no event, and one in 700 too long.
    Mixed,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Emitted {
    /// Lines that are events.
    pub(crate) events: u64,
    /// Of these, those that are too long.
    pub(crate) oversize: u64,
    /// Lines that are none.
    pub(crate) bad: u64,
}

/// A thread that writes.
pub(crate) struct Emitter {
    begun: Instant,
    /// How many lines there are to be.
    goal: Arc<AtomicU64>,
    thread: JoinHandle<std::io::Result<Emitted>>,
}

impl Emitter {
    pub(crate) fn start(events: ChildStdin, lines: Lines) -> Self {
        let goal = Arc::new(AtomicU64::new(u64::MAX));
        let (wanted, begun) = (Arc::clone(&goal), Instant::now());
        let thread = thread::spawn(move || write(events, lines, begun, &wanted));
        Self { begun, goal, thread }
    }

    /// Writes what is due by now, and then no more; gives what was written in all. The daemon gets to
    /// know the end.
    pub(crate) fn finish(self, limit: Duration) -> Result<Emitted, String> {
        self.goal.store(due(self.begun.elapsed()), Relaxed);
        let asked = Instant::now();
        while !self.thread.is_finished() {
            if asked.elapsed() > limit {
                return Err("the daemon does not take its events".into());
            }
            thread::sleep(TICK);
        }
        let emitted = self.thread.join().map_err(|_| "the emitter panicked")?;
        emitted.map_err(|error| format!("the daemon does not take its events: {error}"))
    }
}

fn due(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX) * RATE / 1_000
}

fn write(
    events: ChildStdin,
    lines: Lines,
    begun: Instant,
    goal: &AtomicU64,
) -> std::io::Result<Emitted> {
    let mut events = BufWriter::new(events);
    let mut emitted = Emitted::default();
    let mut line = 0;
    loop {
        let now = due(begun.elapsed()).min(goal.load(Relaxed));
        while line < now {
            line += 1;
            write_line(&mut events, lines, line, &mut emitted)?;
        }
        events.flush()?;
        if line >= goal.load(Relaxed) {
            return Ok(emitted);
        }
        thread::sleep(TICK);
    }
}

fn write_line(
    events: &mut impl Write,
    lines: Lines,
    line: u64,
    emitted: &mut Emitted,
) -> std::io::Result<()> {
    if lines == Lines::Mixed && line.is_multiple_of(500) {
        emitted.bad += 1;
        return writeln!(events, "no event");
    }
    emitted.events += 1;
    let n = emitted.events;
    let mut pad = usize::try_from(line % 150).unwrap_or(0);
    if lines == Lines::Mixed && line % 700 == 1 {
        emitted.oversize += 1;
        pad = OVERSIZE;
    }
    let pad = "x".repeat(pad);
    writeln!(events, r#"{{"topic":"chaos.tick","data":{{"n":{n},"pad":"{pad}"}}}}"#)
}
