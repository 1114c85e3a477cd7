//! Measures the release daemon and the engine on this machine, and writes `docs/performance.md`.
//!
//! `benches/run` builds and starts it. Everything compared is measured in turn in one run, so that
//! what else the machine does hits all alike; ratios are of one round's two measurements.

mod daemon;
mod emit;
mod growth;
mod latency;
mod machine;
mod memory;
mod outbox;
mod page;
mod process;
mod receiver;
mod server;
mod stored;
mod summary;
mod syslog;
mod throughput;
mod user;
mod wrk;
mod yardstick;

use std::path::PathBuf;
use std::process::ExitCode;

use page::Section;
use pilot_webhook_benches::Result;

/// A part: what measures it, given the daemon's path and the number of rounds.
type Part = fn(&std::path::Path, usize) -> Result<Section>;

const PARTS: [(&str, Part); 7] = [
    ("throughput", throughput::measure),
    ("memory", memory::measure),
    ("emit", emit::measure),
    ("latency", latency::measure),
    ("outbox", outbox::measure),
    ("stored", stored::measure),
    ("growth", growth::measure),
];

struct Options {
    daemon: PathBuf,
    rounds: usize,
    parts: Vec<String>,
}

fn options() -> Result<Options> {
    let mut arguments = std::env::args().skip(1);
    let daemon = arguments.next().ok_or("the first argument is the daemon's path")?.into();
    let mut options = Options { daemon, rounds: 9, parts: Vec::new() };
    while let Some(argument) = arguments.next() {
        if argument == "--rounds" {
            options.rounds = arguments.next().ok_or("--rounds needs a number")?.parse()?;
        } else if PARTS.iter().any(|(name, _)| *name == argument) {
            options.parts.push(argument);
        } else {
            return Err(format!("{argument} is no part; see benches/run --help").into());
        }
    }
    if options.rounds == 0 {
        return Err("--rounds must be at least 1".into());
    }
    Ok(options)
}

fn run() -> Result<()> {
    let options = options()?;
    let mut sections = Vec::new();
    for (name, measure) in PARTS {
        if options.parts.is_empty() || options.parts.iter().any(|part| part == name) {
            eprintln!("measuring {name}");
            let section = measure(&options.daemon, options.rounds)?;
            println!("{section}");
            sections.push(section);
        }
    }
    if options.parts.is_empty() {
        page::write(&machine::describe(&options.daemon)?, &sections)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches: {error}");
            ExitCode::FAILURE
        }
    }
}
