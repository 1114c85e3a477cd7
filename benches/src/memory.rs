//! The daemon's memory, as the kernel counts it.

use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::page::Section;
use crate::process::Memory;
use pilot_webhook_benches::Result;

/// The events that are queued: a full queue.
const QUEUED: usize = 1_024;
/// How long the daemon is given to settle.
const SETTLE: Duration = Duration::from_millis(500);

/// The goals for what is resident, and what of it is anonymous, in KB. `docs/performance.md` says what is resident for what.
const IDLE: (u64, u64) = (5_000, 1_500);
const FULL: (u64, u64) = (6_000, 1_700);

pub(crate) fn measure(program: &Path, _rounds: usize) -> Result<Section> {
    // Takes connections, in the backlog, and never answers.
    let hole = TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("http://{}/hook", hole.local_addr()?);
    let mut daemon = Daemon::start(program, &url, &["--http-timeout", "60s"])?;
    thread::sleep(SETTLE);
    let idle = daemon.memory()?;
    daemon.send(QUEUED)?;
    thread::sleep(SETTLE);
    let queued = daemon.memory()?;

    let mut section = Section::new(
        "Memory of the daemon",
        &["what", "resident", "goal", "of it anonymous", "goal"],
    );
    let rows = [("idle", idle, IDLE), ("1,024 events of 180 bytes queued", queued, FULL)];
    for (what, Memory { resident, anonymous, .. }, goals) in rows {
        section.row([
            what.to_owned(),
            format!("{resident} KiB"),
            verdict(resident, goals.0),
            format!("{anonymous} KiB"),
            verdict(anonymous, goals.1),
        ]);
    }
    section.note(
        "`VmRSS` and `RssAnon` of `/proc/PID/status`. What is not anonymous is the mapped binary \
         and the C library, shared with others and given back when memory is short."
            .to_owned(),
    );
    Ok(section)
}

/// Whether so many KiB are within a goal in KB.
#[allow(clippy::cast_precision_loss, reason = "some thousand")]
fn verdict(kib: u64, goal: u64) -> String {
    let verdict = if kib * 1_024 <= goal * 1_000 { "met" } else { "**missed**" };
    format!("{} MB: {verdict}", goal as f64 / 1_000.0)
}
