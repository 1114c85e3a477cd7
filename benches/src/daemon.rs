//! The release daemon, as a user runs it, fed through its standard input.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::process::Memory;
use pilot_webhook_benches::Result;
use pilot_webhook_benches::events::line;

/// Lines that are written at once: what a pipe holds.
const CHUNK: usize = 500;
/// How long the daemon may take to start, or to reach a state that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon that waits for events. Dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
    input: Option<ChildStdin>,
    lines: Vec<u8>,
}

/// What the daemon says at its end.
#[derive(Deserialize)]
struct Report {
    emitted: u64,
    delivered: u64,
}

/// How fast it was, and how much memory it took at its end.
pub(crate) struct Run {
    pub(crate) rate: f64,
    pub(crate) memory: Memory,
}

impl Daemon {
    /// Starts it with further options, and waits until it reads.
    pub(crate) fn start(program: &Path, url: &str, options: &[&str]) -> Result<Self> {
        let mut child = Command::new(program)
            .args(["run", "--events", "-", "--webhook", url])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = child.stdin.take();
        let lines = line().repeat(CHUNK).into_bytes();
        let mut daemon = Self { child, input, lines };
        // The thread that reads is the last thing it starts.
        daemon.wait_for(|daemon| Ok(fs::read_dir(daemon.proc("task"))?.count() >= 2))?;
        Ok(daemon)
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }

    fn wait_for(&mut self, is_so: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let start = Instant::now();
        while !is_so(self)? {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the daemon ended: {status}").into());
            }
            if start.elapsed() > PATIENCE {
                return Err("the daemon does not get there".into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Hands in some hundred events; waits while the pipe is full.
    fn feed(&mut self, events: usize) -> Result<()> {
        let length = self.lines.len() / CHUNK * events.min(CHUNK);
        let input = self.input.as_mut().ok_or("the input is closed")?;
        input.write_all(self.lines.get(..length).unwrap_or_default())?;
        Ok(())
    }

    /// Hands in so many events and does not wait for their delivery.
    pub(crate) fn send(&mut self, events: usize) -> Result<()> {
        (0..events.div_ceil(CHUNK)).try_for_each(|chunk| self.feed(events - chunk * CHUNK))
    }

    /// Delivers events until `enough` says so, to the last one.
    #[allow(clippy::cast_precision_loss, reason = "a count of some million")]
    fn deliver(mut self, enough: impl Fn(u64, Duration) -> bool, events: usize) -> Result<Run> {
        let start = Instant::now();
        let mut sent = 0;
        let mut memory = Memory::default();
        while !enough(sent, start.elapsed()) {
            let chunk = CHUNK.min(events - usize::try_from(sent)?);
            self.feed(chunk)?;
            sent += chunk as u64;
            if sent % (100 * CHUNK as u64) == 0 {
                memory = self.memory()?;
            }
        }
        memory = if memory.resident == 0 { self.memory()? } else { memory };
        self.input = None;
        let mut text = String::new();
        self.child.stdout.take().ok_or("no output")?.read_to_string(&mut text)?;
        let time = start.elapsed();
        let report: Report = serde_json::from_str(&text)?;
        let status = self.child.wait()?;
        if !status.success() || (report.emitted, report.delivered) != (sent, sent) {
            return Err(format!("of {sent} events: {status}, {text}").into());
        }
        Ok(Run { rate: sent as f64 / time.as_secs_f64(), memory })
    }

    /// Delivers events for about `time`.
    pub(crate) fn deliver_for(self, time: Duration) -> Result<Run> {
        self.deliver(|_, passed| passed >= time, usize::MAX)
    }

    /// Delivers so many events.
    pub(crate) fn deliver_all(self, events: u64) -> Result<Run> {
        self.deliver(|sent, _| sent >= events, usize::try_from(events)?)
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        Memory::of(self.child.id())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
