//! `demo`: delivers events to a receiver that fails for a while, and shows what happens to them.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use pilot_webhook_core::{BreakerState, Config, Event, Fate, Json, Notice, Secret, Stats};
use pilot_webhook_receiver::{Behaviour, Receiver};
use pilot_webhook_std::Client;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::events::Lines;
use crate::{Failure, print};

/// Captured from a real pilot daemon.
const EVENTS: &str = include_str!("../../../tests/data/pilot-events.jsonl");
const SECRET: &[u8] = b"demo";
/// Failed events that open the breaker.
const THRESHOLD: u16 = 2;

/// Sends an event every `pace`. Of the 54 events, 25 come while the receiver answers 503. All other times
/// are multiples of `pace`: the breaker opens, a probe fails, and a later one closes it.
pub(crate) async fn demo(pace: Duration) -> Result<(), Failure> {
    let verified = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&verified);
    let receiver = Receiver::new(Secret::new(SECRET), move |received| {
        if received.status.is_success() && received.verified == Some(Ok(())) {
            count.fetch_add(1, Relaxed);
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Failure::runtime)?;
    let url = format!("http://{}/hook", listener.local_addr().map_err(Failure::runtime)?);
    let server = tokio::spawn(receiver.clone().serve(listener));
    let (backoff, cooldown) = (pace * 2 / 3, pace * 13);

    print(&format!("The events of a real pilot daemon, delivered to {url}"))?;
    print(&settings(backoff, cooldown))?;
    print("  . delivered   x attempt failed   ! given up   - skipped\n")?;
    let screen = Arc::new(Screen::new());
    let watcher = Arc::clone(&screen);
    let client = Client::builder(url)
        .secret(SECRET)
        .retry_backoff(backoff)
        .circuit_threshold(THRESHOLD)
        .circuit_cooldown(cooldown)
        .on_notice(move |notice| watcher.show(notice))
        .build()
        .map_err(Failure::runtime)?;

    let failing = Behaviour { status: StatusCode::SERVICE_UNAVAILABLE, ..Behaviour::default() };
    let mut lines = Lines::new(EVENTS.as_bytes());
    let mut sent = 0;
    screen.line("the receiver answers 204");
    while let Some((_, line)) = lines.next().map_err(Failure::runtime)? {
        let line = line.map_err(|bad| Failure::runtime(bad.to_string()))?;
        match sent {
            15 => {
                receiver.behave(failing.clone());
                screen.line("the receiver answers 503");
            }
            40 => {
                receiver.behave(Behaviour::default());
                screen.line("the receiver answers 204 again");
            }
            _ => {}
        }
        let event =
            Event::new(&line.topic, line.node_id.unwrap_or(0), line.timestamp.unwrap_or_default());
        let skipped = client.stats().skipped;
        client.emit_event(&event, &Json(line.data())).map_err(Failure::runtime)?;
        sent += 1;
        sleep(pace).await;
        for _ in skipped..client.stats().skipped {
            screen.mark('-');
        }
    }
    client.drained().await;
    client.close().await;
    server.abort();
    screen.end();
    let stats = client.stats();
    print(&table(&stats, verified.load(Relaxed)))?;
    if stats.is_balanced() && stats.circuit_opens > 0 && stats.breaker == BreakerState::Closed {
        Ok(())
    } else {
        Err(Failure::runtime("the demo did not go as it should: this is a bug"))
    }
}

/// What is not as it is by default, where all of it would take minutes.
fn settings(backoff: Duration, cooldown: Duration) -> String {
    let usual = Config::DEFAULT;
    format!(
        "Shortened: a first retry after {backoff:?} (by default {:?}); the breaker opens after {THRESHOLD} failed events
({}) for {cooldown:?} ({:?}).
",
        usual.backoff.initial, usual.circuit_threshold, usual.circuit_cooldown,
    )
}

fn table(stats: &Stats, verified: u64) -> String {
    let law =
        if stats.is_balanced() { "every event is accounted for" } else { "EVENTS ARE MISSING" };
    format!(
        "
  emitted    {:>4}
  delivered  {:>4}   of which the receiver verified {verified}
  exhausted  {:>4}   given up after {} attempts in all
  skipped    {:>4}   while the breaker was open
  dropped    {:>4}
  the breaker opened {} times; {law}

With --on-open hold, none would have been skipped or given up.",
        stats.emitted,
        stats.delivered,
        stats.exhausted,
        stats.attempts,
        stats.skipped,
        stats.dropped,
        stats.circuit_opens,
    )
}

/// Marks in a row, and lines in between.
struct Screen {
    start: Instant,
    /// Whether marks stand on the current line.
    marked: Mutex<bool>,
}

impl Screen {
    fn new() -> Self {
        Self { start: Instant::now(), marked: Mutex::new(false) }
    }

    fn line(&self, text: &str) {
        self.print(|out, marked| {
            if std::mem::take(marked) {
                writeln!(out)?;
            }
            write!(out, "{:5.1} s  {text:<28}", self.start.elapsed().as_secs_f32())?;
            *marked = true;
            Ok(())
        });
    }

    fn mark(&self, mark: char) {
        self.print(|out, marked| {
            *marked = true;
            write!(out, "{mark}")
        });
    }

    fn end(&self) {
        self.print(|out, _| writeln!(out));
    }

    fn print(
        &self,
        print: impl FnOnce(&mut std::io::StdoutLock<'_>, &mut bool) -> std::io::Result<()>,
    ) {
        let mut marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = std::io::stdout().lock();
        // The reader may have closed the pipe.
        let _ = print(&mut out, &mut marked).and_then(|()| out.flush());
    }

    fn show(&self, notice: &Notice<'_>) {
        if let Notice::Attempt { is_probe: true, .. } = notice {
            self.line("breaker half-open: a probe");
        }
        match notice {
            Notice::Attempt { result: Ok(reply), .. } if reply.code < 300 => {}
            Notice::Attempt { .. } => self.mark('x'),
            Notice::Settled { fate: Fate::Delivered, .. } => self.mark('.'),
            Notice::Settled { fate: Fate::Exhausted, .. } => self.mark('!'),
            Notice::Breaker(BreakerState::Open) => self.line("breaker open"),
            Notice::Breaker(BreakerState::Closed) => self.line("breaker closed"),
            _ => {}
        }
    }
}
