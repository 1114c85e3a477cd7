//! Processes, as far as std does not know them.

use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// Signals a child that has not been waited for, so that its id is still its own.
pub(crate) fn signal(pid: u32, signal: &str) -> Result<(), String> {
    let status = Command::new("kill").args(["-s", signal, &pid.to_string()]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        failed => Err(format!("kill -s {signal} {pid}: {failed:?}")),
    }
}

/// Waits for a child's end; one that does not come is killed.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus, String> {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if begun.elapsed() < limit => thread::sleep(Duration::from_millis(5)),
            other => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("process {} does not end: {other:?}", child.id()));
            }
        }
    }
}

/// What a process takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Resident memory, in KiB.
    pub(crate) rss: u64,
    /// Open file descriptors.
    pub(crate) fds: usize,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> Result<Self, String> {
        let read = |what: &str| format!("/proc/{pid}/{what}");
        let status = std::fs::read_to_string(read("status")).map_err(|error| error.to_string())?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let rss = rss.and_then(|rss| rss.trim().strip_suffix(" kB")?.parse().ok());
        let fds = std::fs::read_dir(read("fd")).map_err(|error| error.to_string())?.count();
        Ok(Self { rss: rss.ok_or("no VmRSS")?, fds })
    }
}
