//! From `emit` to the first byte at the receiver, against one worker asleep on a channel.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pilot_webhook_std::Client;
use tokio::sync::oneshot;

use crate::page::Section;
use crate::receiver;
use crate::summary::quantile;
use pilot_webhook_benches::Result;
use pilot_webhook_benches::events::{DATA, TOPIC, envelope};

/// Between two events of a sender that is idle in between.
const IDLE: Duration = Duration::from_millis(2);
/// Events of one measurement: when idle, and under load.
const EVENTS: [usize; 2] = [400, 4_000];
/// Events of the measurement of what a design can do.
const FLOOD: usize = 5_000;

/// Something that takes events and posts them in order.
trait Design {
    fn start(receiver: SocketAddr) -> Result<Self>
    where
        Self: Sized;
    fn emit(&self) -> Result<()>;
}

/// The engine, on a thread of its own as in the daemon.
struct Engine {
    client: Client,
    /// Ends the thread when it is dropped.
    _end: oneshot::Sender<()>,
}

impl Design for Engine {
    fn start(receiver: SocketAddr) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = runtime.enter();
        let client = Client::builder(format!("http://{receiver}/hook"))
            .queue_capacity(u32::try_from(FLOOD)?)
            .build()
            .map_err(|error| error.to_string())?;
        drop(guard);
        let (end, ended) = oneshot::channel();
        thread::spawn(move || runtime.block_on(ended));
        Ok(Self { client, _end: end })
    }

    fn emit(&self) -> Result<()> {
        self.client.emit(TOPIC, &DATA)?;
        Ok(())
    }
}

/// The design of pilot's Go plugin without its cost: one worker that sleeps on a channel, and posts with
/// blocking calls, in one write, and without a look at the answer but for its end.
struct Channel {
    sender: SyncSender<u64>,
}

impl Design for Channel {
    fn start(receiver: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(receiver)?;
        stream.set_nodelay(true)?;
        let (sender, events) = mpsc::sync_channel(FLOOD);
        thread::spawn(move || -> io::Result<()> {
            let mut answer = [0; 512];
            while let Ok(id) = events.recv() {
                let body = serde_json::to_string(&envelope(id))?;
                let post = format!(
                    "POST /hook HTTP/1.1\r\nhost: {receiver}\r\ncontent-type: \
                     application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(post.as_bytes())?;
                if stream.read(&mut answer)? == 0 {
                    break;
                }
            }
            Ok(())
        });
        Ok(Self { sender })
    }

    fn emit(&self) -> Result<()> {
        Ok(self.sender.try_send(1)?)
    }
}

#[allow(clippy::cast_precision_loss, reason = "some thousand events")]
pub(crate) fn measure(_program: &Path, rounds: usize) -> Result<Section> {
    let mut section = Section::new(
        "Latency, from emit to the first byte at the receiver",
        &["load", "design", "events/s", "median", "p90", "p99"],
    );
    let mut rows: Vec<Row> = Vec::new();
    for _ in 0..rounds.min(5) {
        // In turn, so that what else the machine does hits both.
        let ours = capacity::<Engine>()?;
        let theirs = capacity::<Channel>()?;
        // Both get the same load.
        let half = Duration::from_secs_f64(2.0 / ours.min(theirs));
        for ((load, gap), events) in [("idle", IDLE), ("half", half)].into_iter().zip(EVENTS) {
            record(&mut rows, load, "the engine", latencies::<Engine>(events, gap)?);
            record(&mut rows, load, "a channel", latencies::<Channel>(events, gap)?);
        }
    }
    for Row { load, design, all: Latencies { mut micros, time } } in rows {
        micros.sort_by(f64::total_cmp);
        section.row([
            load.to_owned(),
            design.to_owned(),
            format!("{:.0}", micros.len() as f64 / time.as_secs_f64()),
            format!("{:.0} µs", quantile(&micros, 0.5)),
            format!("{:.0} µs", quantile(&micros, 0.9)),
            format!("{:.0} µs", quantile(&micros, 0.99)),
        ]);
    }
    section.note(stops()?);
    section.note(
        "The receiver is a thread that blocks in `read`, so its own wake-up is in all numbers. \
         *A channel* stands for the design of pilot's Go plugin at its best: one thread asleep on a channel, \
         blocking writes, nothing kept for retries."
            .to_owned(),
    );
    Ok(section)
}

/// All measurements of one design under one load.
struct Row {
    load: &'static str,
    design: &'static str,
    all: Latencies,
}

fn record(rows: &mut Vec<Row>, load: &'static str, design: &'static str, more: Latencies) {
    match rows.iter_mut().find(|row| (row.load, row.design) == (load, design)) {
        Some(Row { all, .. }) => {
            all.micros.extend(more.micros);
            all.time += more.time;
        }
        None => rows.push(Row { load, design, all: more }),
    }
}

/// Events per second that a design posts in order.
#[allow(clippy::cast_precision_loss, reason = "some thousand events")]
fn capacity<D: Design>() -> Result<f64> {
    let (receiver, arrivals) = receive(FLOOD)?;
    let design = D::start(receiver)?;
    let start = Instant::now();
    (0..FLOOD).try_for_each(|_| design.emit())?;
    let arrivals = arrivals.join().map_err(|_| "the receiver panicked")??;
    let last = arrivals.times.last().ok_or("nothing arrived")?;
    Ok(FLOOD as f64 / last.duration_since(start).as_secs_f64())
}

/// What became of the events of one measurement.
struct Latencies {
    /// What each took, in microseconds.
    micros: Vec<f64>,
    /// How long the emitting took.
    time: Duration,
}

fn latencies<D: Design>(events: usize, gap: Duration) -> Result<Latencies> {
    // The first ones make the connection and wake what sleeps.
    const WARM_UP: usize = 20;
    let (receiver, arrivals) = receive(WARM_UP + events)?;
    let design = D::start(receiver)?;
    let mut emitted = Vec::with_capacity(WARM_UP + events);
    for _ in 0..WARM_UP + events {
        if let Some(last) = emitted.last() {
            // Counted from the last one, so that a late one is not followed by a crowd.
            wait_until(*last + gap);
        }
        emitted.push(Instant::now());
        design.emit()?;
    }
    let arrivals = arrivals.join().map_err(|_| "the receiver panicked")??;
    let time = emitted.last().ok_or("no events")?.duration_since(emitted[WARM_UP]);
    let times = emitted.iter().zip(arrivals.times).skip(WARM_UP);
    let micros = times.map(|(emitted, arrived)| (arrived - *emitted).as_secs_f64() * 1e6).collect();
    Ok(Latencies { micros, time })
}

/// Sleeps until about then. It does not spin for the last microseconds: on two cores, who is woken may
/// be put behind a spinning emitter, and waits until that has used up its time slice of some
/// milliseconds.
fn wait_until(time: Instant) {
    /// What Linux lets a sleep be late: 50 µs (`timer_slack_ns` in proc(5)), and to wake up.
    const SLACK: Duration = Duration::from_micros(55);
    thread::sleep(time.saturating_duration_since(Instant::now()).saturating_sub(SLACK));
}

/// What the machine does by itself: how often threads that do nothing but look at the clock, one a
/// core, find themselves stopped.
fn stops() -> Result<String> {
    const TIME: Duration = Duration::from_secs(5);
    const STOP: Duration = Duration::from_millis(1);
    let watch = || {
        let start = Instant::now();
        let (mut last, mut stops) = (start, Vec::new());
        while last.duration_since(start) < TIME {
            let now = Instant::now();
            let passed = now.duration_since(last);
            if passed > STOP {
                stops.push(passed);
            }
            last = now;
        }
        stops
    };
    let cores = thread::available_parallelism()?.get();
    let watches: Vec<_> = (0..cores).map(|_| thread::spawn(watch)).collect();
    let mut stops = Vec::new();
    for watch in watches {
        stops.extend(watch.join().map_err(|_| "a watch panicked")?);
    }
    let share = stops.iter().sum::<Duration>().as_secs_f64() / TIME.as_secs_f64();
    Ok(format!(
        "What this machine adds: with nothing else to do, {cores} threads that only look at the clock \
         were stopped for more than 1 ms {} times in {} s, {:.1} % of one core's time, once for {:.1} ms. \
         A latency of milliseconds is that.",
        stops.len(),
        TIME.as_secs(),
        share * 100.0,
        stops.iter().max().map_or(0.0, |most| most.as_secs_f64() * 1e3),
    ))
}

/// When the first byte of each event came.
struct Arrivals {
    times: Vec<Instant>,
    wanted: usize,
}

/// A receiver of so many events.
fn receive(events: usize) -> Result<(SocketAddr, JoinHandle<io::Result<Arrivals>>)> {
    let arrivals = Arrivals { times: Vec::with_capacity(events), wanted: events };
    receiver::serve(arrivals, |arrivals| {
        arrivals.times.push(Instant::now());
        arrivals.times.len() < arrivals.wanted
    })
}
