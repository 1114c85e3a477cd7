//! The workload: events captured from a pilot node, repeated.

use core::sync::atomic::{AtomicU32, Ordering};

use embassy_sync::once_lock::OnceLock;
use embassy_time::{Duration, Timer};
use firmware::soft_interrupt::SoftInterrupt;
use pilot_webhook_core::Json;
use pilot_webhook_embassy::Webhook;

/// A topic and its data on each line, in the order of their first capture. The repository's
/// `tests/data/pilot-events.jsonl` has all of them.
const CAPTURED: &str = include_str!("../../events.txt");

/// What to emit, and how.
pub(crate) struct Workload {
    pub(crate) events: u32,
    pub(crate) pace: Duration,
    pub(crate) waits_for_room: bool,
    pub(crate) burst: u32,
    pub(crate) idle: Duration,
}

/// Events handed in so far, by the task and the interrupt. The engine counts them in the same
/// order, so that event `k` carries line `k - 1`, modulo their number.
static HANDED_IN: AtomicU32 = AtomicU32::new(0);
/// The interrupt's.
static WEBHOOK: OnceLock<Webhook> = OnceLock::new();
/// What the interrupt is to emit.
static BURST: AtomicU32 = AtomicU32::new(0);

pub(crate) async fn run(webhook: Webhook, workload: &Workload, interrupt: SoftInterrupt) {
    let _ = WEBHOOK.init(webhook);
    let trigger = interrupt.enable(on_interrupt);
    let first_half = workload.events / 2;
    emit(webhook, workload, first_half).await;
    if workload.burst > 0 {
        BURST.store(workload.burst, Ordering::Relaxed);
        trigger.pend();
    }
    if workload.idle > Duration::MIN {
        webhook.drained().await;
        Timer::after(workload.idle).await;
    }
    emit(webhook, workload, workload.events - first_half).await;
}

async fn emit(webhook: Webhook, workload: &Workload, count: u32) {
    for _ in 0..count {
        let (topic, data) = next();
        // Refused events are counted by the engine.
        let _ = if workload.waits_for_room {
            webhook.emit_when_room(topic, &data).await
        } else {
            webhook.emit(topic, &data)
        };
        if workload.pace > Duration::MIN {
            Timer::after(workload.pace).await;
        }
    }
}

fn on_interrupt() {
    let Some(webhook) = WEBHOOK.try_get() else { return };
    for _ in 0..BURST.swap(0, Ordering::Relaxed) {
        let (topic, data) = next();
        // The engine counts what the queue has no room for.
        let _ = webhook.emit(topic, &data);
    }
}

fn next() -> (&'static str, Json<'static>) {
    let index = HANDED_IN.fetch_add(1, Ordering::Relaxed) as usize;
    let line = CAPTURED.lines().nth(index % CAPTURED.lines().count());
    let (topic, data) = line.and_then(|line| line.split_once(' ')).unwrap_or_default();
    (topic, Json(data))
}
