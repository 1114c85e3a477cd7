//! This binary as a child: a program with a client that has an outbox.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use pilot_webhook_std::{Client, Outbox, OutboxOptions};

use crate::place::{EVENTS, topic};

const FILE: &str = "FAULTS_OUTBOX";
const URL: &str = "FAULTS_URL";
const FIRST: &str = "FAULTS_FIRST";

/// The child: emits the events from `first` on, delivers what is in `file`, and closes.
pub(crate) fn command(file: &Path, url: &str, first: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "client::plays_its_part", "--nocapture", "--test-threads=1"]);
    command.env(FILE, file).env(URL, url).env(FIRST, first.to_string());
    command
}

/// Says `stored N` when `emit_durable` has said so of the N-th event. Every second one is emitted without waiting for
/// the disk.
#[tokio::test]
async fn plays_its_part() {
    let Ok(file) = std::env::var(FILE) else { return };
    let variable = |name| std::env::var(name).unwrap();
    let first: u64 = variable(FIRST).parse().unwrap();
    let Ok(outbox) = Outbox::open(file, OutboxOptions::default()) else { std::process::exit(2) };
    let client = Client::builder(variable(URL)).outbox(outbox).build().unwrap();
    for number in first..=EVENTS {
        if number % 2 == 1 {
            if client.emit(topic(number), &number).is_err() {
                break;
            }
        } else {
            if client.emit_durable(topic(number), &number).await.is_err() {
                break;
            }
            // One write: a line of a child that dies is there or not.
            std::io::stdout().write_all(format!("\nstored {number}\n").as_bytes()).unwrap();
        }
    }
    client.drained().await;
    client.close().await;
}
