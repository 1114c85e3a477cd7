//! What `emit` costs its caller, alone and among others.

use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use pilot_webhook_benches::Result;
use pilot_webhook_benches::events::{DATA, TOPIC};
use pilot_webhook_std::Client;

use crate::page::Section;
use crate::receiver;
use crate::summary::Summary;

/// Events of one measurement, over all producers.
const EVENTS: u32 = 4_000;
/// Measurements for each round.
const BATCHES: usize = 3;

pub(crate) fn measure(_program: &Path, rounds: usize) -> Result<Section> {
    // Polled between the measurements only, so that nothing is delivered meanwhile.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _guard = runtime.enter();
    let (receiver, _) = receiver::serve((), |()| true)?;
    let roomy = Client::builder(format!("http://{receiver}/")).queue_capacity(EVENTS).build()?;
    let full = Client::builder("http://127.0.0.1:9/").queue_capacity(1).build()?;
    full.emit(TOPIC, &DATA)?;

    let mut section = Section::new(
        "Emit, three fields",
        &["what", "producers", "ns an event (least..greatest)", "goal"],
    );
    for (what, client, goal) in [("taken in", &roomy, 100.0), ("queue full", &full, 50.0)] {
        for producers in [1, 2, 8] {
            // The first one warms up.
            let times = (0..=rounds * BATCHES).map(|_| {
                let time = nanoseconds(client, producers);
                if what == "taken in" {
                    runtime.block_on(client.drained());
                }
                time
            });
            let time = Summary::of(times.skip(1));
            // The goal is of an emit that is alone.
            let verdict = match (producers, time.median <= goal) {
                (1, true) => format!("{goal}: met"),
                (1, false) => format!("{goal}: **missed**"),
                _ => String::new(),
            };
            section.row([what.to_owned(), producers.to_string(), format!("{time:.0}"), verdict]);
        }
    }
    let lost = roomy.stats().dropped;
    if lost > 0 {
        return Err(format!("{lost} events were not taken in").into());
    }
    section.note(
        "Wall time over all events of all producers, which do nothing else: with several, this is \
         the time between two events, not the time that one producer waits. Nothing is delivered meanwhile."
            .to_owned(),
    );
    Ok(section)
}

/// Wall time an event, from the moment when so many threads begin to emit all the time.
fn nanoseconds(client: &Client, producers: u32) -> f64 {
    let each = EVENTS / producers;
    let emit = || {
        for _ in 0..each {
            let _ = black_box(client.emit(black_box(TOPIC), black_box(&DATA)));
        }
    };
    if producers == 1 {
        let start = Instant::now();
        emit();
        return start.elapsed().as_secs_f64() * 1e9 / f64::from(each);
    }
    let barrier = &Barrier::new(usize::try_from(producers).unwrap_or(1));
    // From the first one's start to the last one's end.
    let spans: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let spawn = |_| {
            scope.spawn(move || {
                barrier.wait();
                let start = Instant::now();
                emit();
                (start, Instant::now())
            })
        };
        let threads: Vec<_> = (0..producers).map(spawn).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let start = spans.iter().map(|span| span.0).min();
    let end = spans.iter().map(|span| span.1).max();
    let time = start.zip(end).map_or(f64::NAN, |(start, end)| (end - start).as_secs_f64());
    time * 1e9 / f64::from(each * producers)
}
