//! What `emit` costs its caller, alone and among others.

use std::hint::black_box;
use std::path::Path;
use std::thread;
use std::time::Instant;

use pilot_webhook_core::OnFull;
use pilot_webhook_std::{Client, ClientBuilder};

use crate::Result;
use crate::events::{DATA, TOPIC};
use crate::page::Section;
use crate::summary::Summary;

/// Events of one measurement, over all producers.
const EVENTS: u32 = 400_000;

pub(crate) fn measure(_program: &Path, rounds: usize) -> Result<Section> {
    // Never polled, so that nothing is delivered meanwhile.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _guard = runtime.enter();
    let builder = || Client::builder("http://127.0.0.1:9/");
    // The oldest makes room, so that every event is taken in.
    let endless: fn(ClientBuilder) -> ClientBuilder = |builder| builder.on_full(OnFull::DropOldest);
    let full: fn(ClientBuilder) -> ClientBuilder = |builder| builder.queue_capacity(1);

    let mut section = Section::new(
        "Emit, three fields",
        &["what", "producers", "ns an event (least..greatest)", "goal"],
    );
    for (what, options, goal) in [("taken in", endless, 100.0), ("queue full", full, 50.0)] {
        for producers in [1, 2, 8] {
            let times = (0..rounds)
                .map(|_| {
                    let client = options(builder()).build()?;
                    Ok(nanoseconds(&client, producers))
                })
                .collect::<Result<Vec<f64>>>()?;
            let time = Summary::of(times);
            // The goal is of an emit that is alone.
            let verdict = match (producers, time.median <= goal) {
                (1, true) => format!("{goal}: met"),
                (1, false) => format!("{goal}: **missed**"),
                _ => String::new(),
            };
            section.row([what.to_owned(), producers.to_string(), format!("{time:.0}"), verdict]);
        }
    }
    section.note(
        "Wall time over all events of all producers, who do nothing else: with several, this is \
         what passes between two events, not what one waits. Nothing is delivered meanwhile."
            .to_owned(),
    );
    Ok(section)
}

/// Wall time an event, with so many threads that emit all the time.
fn nanoseconds(client: &Client, producers: u32) -> f64 {
    let each = EVENTS / producers;
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..producers {
            scope.spawn(|| {
                for _ in 0..each {
                    let _ = black_box(client.emit(black_box(TOPIC), black_box(&DATA)));
                }
            });
        }
    });
    start.elapsed().as_secs_f64() * 1e9 / f64::from(each * producers)
}
