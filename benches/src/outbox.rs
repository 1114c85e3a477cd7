//! Events per second with an outbox: against without, and against syslog-ng's disk buffer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::page::Section;
use crate::process::{Flow, flow};
use crate::server::Nginx;
use crate::summary::{Summary, thousands};
use crate::syslog::{self, How};
use pilot_webhook_benches::Result;
use pilot_webhook_benches::events::{envelope, line};

/// Events of one measurement: some seconds of the slowest.
const IN_ORDER: u64 = 30_000;
const IN_FLIGHT: u64 = 100_000;
/// With an outbox, of the rate without: in order, and 8 in flight.
const GOALS: [f64; 2] = [0.7, 0.4];

/// The flows of all rounds, of a program in one of its ways.
#[derive(Default)]
struct Flows(Vec<Flow>);

impl Flows {
    fn rates(&self) -> Vec<f64> {
        self.0.iter().map(|flow| flow.rate).collect()
    }

    /// The most memory of all rounds, in KiB.
    fn memory(&self) -> u64 {
        self.0.iter().map(|flow| flow.memory).max().unwrap_or(0)
    }
}

/// All ways with so many in flight.
#[derive(Default)]
struct Side {
    stored: Flows,
    unstored: Flows,
    peer_stored: Flows,
    peer_unstored: Flows,
}

pub(crate) fn measure(program: &Path, rounds: usize) -> Result<Section> {
    let nginx = Nginx::start()?;
    let url = nginx.url(false);
    let has_peer = syslog::is_there();
    let mut sides = [Side::default(), Side::default()];
    let rounds = rounds.min(5);
    for round in 1..=rounds {
        for (side, (in_flight, events)) in sides.iter_mut().zip([(1, IN_ORDER), (8, IN_FLIGHT)]) {
            let files = Files::make(events)?;
            let ours = |is_stored| {
                flow(&mut daemon(program, &files, &url, in_flight, is_stored), &nginx, events)
            };
            side.stored.0.push(ours(true)?);
            side.unstored.0.push(ours(false)?);
            if has_peer {
                for (flows, is_stored) in
                    [(&mut side.peer_stored, true), (&mut side.peer_unstored, false)]
                {
                    let (place, how) = (TempDir::new()?, How { workers: in_flight, is_stored });
                    let mut command = syslog::command(&place, &files.bodies, &url, how)?;
                    flows.0.push(flow(&mut command, &nginx, events)?);
                }
            }
        }
        eprintln!("round {round} of {rounds}");
    }
    Ok(section(&sides, rounds))
}

/// The events, for both programs.
struct Files {
    directory: TempDir,
    lines: PathBuf,
    bodies: PathBuf,
}

impl Files {
    fn make(events: u64) -> Result<Self> {
        let directory = TempDir::new()?;
        let (lines, bodies) = (directory.path().join("lines"), directory.path().join("bodies"));
        fs::write(&lines, line().repeat(usize::try_from(events)?))?;
        let body = serde_json::to_string(&envelope(123_456))? + "\n";
        fs::write(&bodies, body.repeat(usize::try_from(events)?))?;
        Ok(Self { directory, lines, bodies })
    }
}

fn daemon(program: &Path, files: &Files, url: &str, in_flight: u32, is_stored: bool) -> Command {
    let mut command = Command::new(program);
    command.args(["run", "--block-when-full", "--webhook", url, "--events"]).arg(&files.lines);
    command.args(["--max-in-flight", &in_flight.to_string()]);
    if is_stored {
        // Each run has a file of its own, and this is the only one that there is at a time.
        let file = files.directory.path().join("events.db");
        for companion in ["", "-wal", "-shm", "-lock"] {
            let mut name = file.clone().into_os_string();
            name.push(companion);
            let _ = fs::remove_file(name);
        }
        command.arg("--outbox").arg(file);
    }
    command
}

#[allow(clippy::cast_precision_loss, reason = "for people to read")]
fn section(sides: &[Side; 2], rounds: usize) -> Section {
    let mut section = Section::new(
        "With an outbox",
        &["what", "events/s", "against", "events/s", "ratio (least..greatest)", "goal"],
    );
    let names = ["in order", "8 in flight"];
    for ((side, name), goal) in sides.iter().zip(names).zip(GOALS) {
        let rows = [
            ("an outbox", &side.stored, "without", &side.unstored, Some(goal)),
            ("an outbox", &side.stored, "syslog-ng, reliable disk-buffer", &side.peer_stored, None),
            ("no outbox", &side.unstored, "syslog-ng, no disk-buffer", &side.peer_unstored, None),
        ];
        for (what, of, against, to, goal) in rows.into_iter().filter(|row| !row.3.0.is_empty()) {
            let (of, to) = (of.rates(), to.rates());
            let ratio = Summary::ratio(&of, &to);
            section.row([
                format!("{name}, {what}"),
                thousands(Summary::of(of).median),
                against.to_owned(),
                thousands(Summary::of(to).median),
                ratio.to_string(),
                goal.map_or_else(String::new, |goal| {
                    format!("{goal}: {}", if ratio.median >= goal { "met" } else { "**missed**" })
                }),
            ]);
        }
    }
    section.note(format!(
        "{rounds} rounds in turn, of {} events in order and {} in flight, from a file, from the first one at nginx to the \
         last one; posted, an event has 180 bytes. The outbox is on a disk, and each commit is synchronised; the \
         reliable disk-buffer is written on the same disk, and not synchronised. syslog-ng has as many workers as the daemon has in \
         flight, and windows that are never full.",
        thousands(IN_ORDER as f64),
        thousands(IN_FLIGHT as f64),
    ));
    let most = |flows: &Flows| format!("{} KiB", flows.memory());
    section.note(format!(
        "The most resident memory, 8 in flight: with an outbox {}, without {}; syslog-ng with a disk-buffer {}, \
         without {}.",
        most(&sides[1].stored),
        most(&sides[1].unstored),
        most(&sides[1].peer_stored),
        most(&sides[1].peer_unstored),
    ));
    section
}
