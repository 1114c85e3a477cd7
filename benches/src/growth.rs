//! Whether cost grows: with the number of events, the queue's length, the events in flight.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::page::Section;
use crate::server::Nginx;
use crate::summary::{Summary, thousands};
use pilot_webhook_benches::Result;
use pilot_webhook_benches::inprocess::Engine;

/// The events of one measurement of a queue's length.
const EVENTS: u64 = 2_000_000;
/// How long a number of events in flight is measured.
const TIME: Duration = Duration::from_secs(1);

#[allow(clippy::cast_precision_loss, reason = "for people to read")]
pub(crate) fn measure(program: &Path, rounds: usize) -> Result<Section> {
    let mut section =
        Section::new("Growth", &["what", "how much", "cost or rate", "resident memory"]);
    for events in (1..=7).map(|power| 10_u64.pow(power)) {
        let time = Engine::new(1_024)?.pass(events)?;
        section.row([
            "events through the engine, in memory".to_owned(),
            thousands(events as f64),
            format!("{time:.0} ns an event"),
            format!("{} KiB", resident()?),
        ]);
    }
    for capacity in [16, 256, 4_096, 65_536, 1_000_000] {
        let times = (0..rounds.min(5))
            .map(|_| Engine::new(capacity)?.pass(EVENTS))
            .collect::<Result<Vec<f64>>>()?;
        section.row([
            "queue capacity, in memory".to_owned(),
            thousands(capacity.into()),
            format!("{:.0} ns an event", Summary::of(times)),
            String::new(),
        ]);
    }
    let nginx = Nginx::start()?;
    let url = nginx.url(false);
    for in_flight in ["1", "2", "4", "8", "16", "32", "64"] {
        let options = ["--block-when-full", "--max-in-flight", in_flight];
        let rates = (0..rounds.min(3))
            .map(|_| Ok(Daemon::start(program, &url, &options)?.deliver_for(TIME)?.rate))
            .collect::<Result<Vec<f64>>>()?;
        section.row([
            "in flight, the daemon to nginx".to_owned(),
            in_flight.to_owned(),
            format!("{} events/s", thousands(Summary::of(rates).median)),
            String::new(),
        ]);
    }
    for events in (1..=7).map(|power| 10_u64.pow(power)) {
        let options = ["--block-when-full", "--max-in-flight", "32"];
        let run = Daemon::start(program, &url, &options)?.deliver_all(events)?;
        section.row([
            "events through the daemon, 32 in flight".to_owned(),
            thousands(events as f64),
            format!("{} events/s", thousands(run.rate)),
            format!("{} KiB", run.memory.resident),
        ]);
    }
    Ok(section)
}

/// This process' resident memory, in KiB.
fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.ok_or("no VmRSS")?.trim().trim_end_matches(" kB").parse()?)
}
