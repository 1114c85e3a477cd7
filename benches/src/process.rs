//! A program that reads events from a file, seen from outside: by its memory, and by what the receiver counts.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pilot_webhook_benches::Result;

use crate::server::Nginx;

/// How long a program may take to get anywhere.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at the receiver's counter.
const LOOK: Duration = Duration::from_millis(5);

/// What the kernel says about a process' memory, in KiB.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    /// All that is resident.
    pub(crate) resident: u64,
    /// Of that, what no file holds: the heap and the stacks.
    pub(crate) anonymous: u64,
    /// The most that was ever resident.
    pub(crate) most: u64,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let text = line.ok_or_else(|| format!("no {name} in its status"))?;
            Ok(text.trim().trim_end_matches(" kB").parse()?)
        };
        Ok(Self {
            resident: field("VmRSS:")?,
            anonymous: field("RssAnon:")?,
            most: field("VmHWM:")?,
        })
    }
}

/// A running program. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    begun: Instant,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Self { child, begun })
    }

    /// Waits until something is so; returns when it was, from the start on.
    pub(crate) fn until(&mut self, mut is_so: impl FnMut() -> Result<bool>) -> Result<Duration> {
        while !is_so()? {
            if self.begun.elapsed() > PATIENCE {
                return Err("it does not get there".into());
            }
            thread::sleep(LOOK);
        }
        Ok(self.begun.elapsed())
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        Memory::of(self.child.id())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) -> Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How fast a program was, and the most memory that it took, in KiB.
#[derive(Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) rate: f64,
    pub(crate) memory: u64,
}

/// Starts a program that reads so many events from a file, and measures from the first one at the receiver to the last
/// one.
#[allow(clippy::cast_precision_loss, reason = "a count of some thousand")]
pub(crate) fn flow(command: &mut Command, nginx: &Nginx, events: u64) -> Result<Flow> {
    let before = nginx.requests()?;
    // Each look is a request, too.
    let mut looks = 0;
    let mut arrived = || -> Result<u64> {
        looks += 1;
        Ok(nginx.requests()? - before - looks)
    };
    let mut process = Process::start(command)?;
    let mut first = 0;
    let start = process.until(|| {
        first = arrived()?;
        Ok(first > 0)
    })?;
    let mut memory = Memory::default();
    let id = process.child.id();
    let mut at = 0;
    let end = process.until(|| {
        at = arrived()?;
        // One that has ended has none.
        memory = Memory::of(id).unwrap_or(memory);
        Ok(at >= events)
    })?;
    if at > events {
        return Err(format!("{at} of {events} events").into());
    }
    let rate = (events - first) as f64 / (end - start).as_secs_f64();
    Ok(Flow { rate, memory: memory.most })
}
