//! What `emit` costs its caller, alone and among others.

use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use pilot_webhook_benches::Result;
use pilot_webhook_benches::events::{DATA, TOPIC};
use pilot_webhook_std::{Client, Outbox, OutboxOptions};

use crate::page::Section;
use crate::receiver;
use crate::summary::Summary;
use crate::yardstick;

/// Events of one measurement, over all producers.
const EVENTS: u32 = 4_000;
/// Measurements for each round.
const BATCHES: usize = 3;

/// How many times as long as its yardstick an emit may take that is alone.
const TAKEN_IN: f64 = 3.5;
const QUEUE_FULL: f64 = 11.0;
/// With an outbox: 200 ns where the yardstick takes 30.
const STORED: f64 = 6.7;

/// A kind of emit: its name, its client, its yardstick and its goal.
type Kind<'a> = (&'static str, &'a Client, fn() -> f64, f64);

pub(crate) fn measure(_program: &Path, rounds: usize) -> Result<Section> {
    // Polled between the measurements only, so that nothing is delivered meanwhile.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _guard = runtime.enter();
    let (receiver, _) = receiver::serve((), |()| true)?;
    let roomy = Client::builder(format!("http://{receiver}/")).queue_capacity(EVENTS).build()?;
    let full = Client::builder("http://127.0.0.1:9/").queue_capacity(1).build()?;
    full.emit(TOPIC, &DATA)?;
    let directory = tempfile::tempdir()?;
    let outbox = Outbox::open(directory.path().join("events.db"), OutboxOptions::default())?;
    let (keeper, _) = receiver::serve((), |()| true)?;
    let stored = Client::builder(format!("http://{keeper}/")).outbox(outbox).build()?;

    let mut section = Section::new(
        "Emit, three fields",
        &["what", "producers", "ns an event", "yardstick, ns", "ratio (least..greatest)", "goal"],
    );
    let taken: Kind<'_> = ("taken in", &roomy, yardstick::stamp_and_copy, TAKEN_IN);
    let refused: Kind<'_> = ("queue full", &full, yardstick::lock, QUEUE_FULL);
    let kept: Kind<'_> = ("with an outbox", &stored, yardstick::stamp_and_copy, STORED);
    for (what, client, yardstick, goal) in [taken, kept, refused] {
        for producers in [1, 2, 8] {
            // The first one warms up.
            let (times, yardsticks): (Vec<_>, Vec<_>) = (0..=rounds * BATCHES)
                .map(|_| {
                    let time = nanoseconds(client, producers);
                    if what != "queue full" {
                        runtime.block_on(client.drained());
                    }
                    (time, yardstick())
                })
                .skip(1)
                .unzip();
            let ratio = Summary::ratio(&times, &yardsticks);
            // The goal is of an emit that is alone.
            let verdict = match (producers, ratio.median <= goal) {
                (1, true) => format!("{goal}: met"),
                (1, false) => format!("{goal}: **missed**"),
                _ => String::new(),
            };
            let [time, yardstick] = [times, yardsticks].map(|times| Summary::of(times).median);
            section.row([
                what.to_owned(),
                producers.to_string(),
                format!("{time:.0}"),
                format!("{yardstick:.0}"),
                ratio.to_string(),
                verdict,
            ]);
        }
    }
    let lost = roomy.stats().dropped + stored.stats().dropped;
    if lost > 0 {
        return Err(format!("{lost} events were not taken in").into());
    }
    section.note(
        "Wall time over all events of all producers, which do nothing else: with several, this is \
         the time between two events, not the time that one producer waits. Nothing is delivered meanwhile; the outbox's thread writes to the disk. \
         The yardstick of an event that is taken in is the wall clock read and 180 bytes copied under a lock that \
         nobody else holds; of one that a full queue refuses, such a lock alone. It is measured after each \
         measurement, alone, and a ratio is of the two."
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
