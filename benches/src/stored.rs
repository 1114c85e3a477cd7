//! A million events in the outbox: memory, bytes on disk, and the first delivery after a start; and the file after as
//! many went through it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use pilot_webhook_std::outbox::OutboxFile;
use tempfile::TempDir;

use crate::page::Section;
use crate::process::{Process, flow};
use crate::server::Nginx;
use crate::summary::thousands;
use pilot_webhook_benches::Result;
use pilot_webhook_benches::events::{DATA, TOPIC, line};

const EVENTS: u64 = 1_000_000;
/// How long the daemon is given to settle.
const SETTLE: Duration = Duration::from_secs(1);
/// The room of the outbox that events go through, in bytes.
const ROOM: u64 = 10_000_000;

#[allow(clippy::cast_precision_loss, reason = "for people to read")]
pub(crate) fn measure(program: &Path, _rounds: usize) -> Result<Section> {
    let mut section = Section::new("A million events in the outbox", &["what", "measured", "goal"]);
    let directory = TempDir::new()?;
    let (lines, file) = (directory.path().join("lines"), directory.path().join("events.db"));
    fs::write(&lines, line().repeat(usize::try_from(EVENTS)?))?;
    let daemon = |url: &str, file: &PathBuf| {
        let mut command = Command::new(program);
        command.args(["run", "--drain-timeout", "0s", "--max-in-flight", "8", "--webhook", url]);
        command.arg("--outbox").arg(file);
        command
    };
    let mut row = |what: &str, measured: String, is_met: bool, goal: &str| {
        let verdict = if is_met { "met" } else { "**missed**" };
        section.row([what.to_owned(), measured, format!("{goal}: {verdict}")]);
    };

    // Nobody answers there.
    let mut taking =
        Process::start(daemon("http://127.0.0.1:9/", &file).arg("--events").arg(&lines))?;
    taking.until(|| {
        let status = OutboxFile::open(&file).and_then(|file| file.status());
        Ok(status.is_ok_and(|status| status.ledger.accepted == EVENTS))
    })?;
    thread::sleep(SETTLE);
    let memory = taking.memory()?;
    taking.end()?;
    let fits = |kib: u64| kib * 1_024 <= 14_000_000;
    row(
        "the most resident memory while they come",
        format!("{} KiB", memory.most),
        fits(memory.most),
        "14 MB",
    );
    row(
        "resident memory while they wait",
        format!("{} KiB", memory.resident),
        fits(memory.resident),
        "14 MB",
    );
    row(
        "of it anonymous",
        format!("{} KiB", memory.anonymous),
        memory.anonymous * 1_024 <= 5_000_000,
        "5 MB",
    );
    let mapped = memory.resident - memory.anonymous;

    let on_disk = fs::metadata(&file)?.len() as f64 / EVENTS as f64;
    let payload = (TOPIC.len() + serde_json::to_string(&DATA)?.len()) as f64;
    let measured = format!("{on_disk:.0} bytes, {:.2} of its topic and data", on_disk / payload);
    row("an event on disk", measured, on_disk <= 2.0 * payload, "2");

    let nginx = Nginx::start()?;
    let (before, mut looks) = (nginx.requests()?, 0);
    let mut giving = Process::start(&mut daemon(&nginx.url(false), &file))?;
    let first = giving.until(|| {
        looks += 1;
        Ok(nginx.requests()? > before + looks)
    })?;
    let measured = format!("{} ms", first.as_millis());
    row("from a start to the first delivery", measured, first < Duration::from_secs(1), "1 s");
    thread::sleep(3 * SETTLE);
    let memory = giving.memory()?;
    giving.end()?;
    row(
        "the most resident memory while they go",
        format!("{} KiB", memory.most),
        fits(memory.most),
        "14 MB",
    );

    let through = directory.path().join("through.db");
    let mut command = daemon(&nginx.url(false), &through);
    command.args(["--outbox-max-bytes", &ROOM.to_string(), "--events"]).arg(&lines);
    flow(&mut command, &nginx, EVENTS)?;
    let length = fs::metadata(&through)?.len();
    let measured = format!("{} bytes", thousands(length as f64));
    row(
        "the file after a million events through room for 10 MB",
        measured,
        length <= 2 * ROOM,
        "20 MB",
    );
    section.note(format!(
        "The events are those of the other tables. Memory is `VmRSS`, `RssAnon` and `VmHWM` of `/proc/PID/status`, of which \
         {mapped} KiB are the mapped binary and the C library, as far as they were used while the events came."
    ));
    Ok(section)
}
