//! The oracle: tracks where every event is by what is observable from outside, and compares that with
//! core's own counters after every step.
//!
//! Its inputs are emits, swaps, clears, closes and workers that vanish, and the attempts at the transport
//! and notices at the observer; it predicts everything else.

mod attempts;
mod intake;
mod unseen;

use std::collections::BTreeMap;

use pilot_webhook_core::{
    BreakerState, Config, ErrorKind, Fate, LongWaits, PilotFormat, Reply, Stats,
};

use super::gate::Gate;
use super::time::micros;

/// Bytes of an event's topic and data.
fn texts(body: &str) -> usize {
    const REST: &str = r#","event":,"node_id":7,"timestamp":"1970-01-01T00:00:00Z","data":}"#;
    let id = body.find(',').unwrap();
    body.len() - id - REST.len()
}

/// What an event takes in the queue: its topic and its data, and the rest in 32 bytes.
fn size(body: &str) -> usize {
    32 + texts(body)
}

/// Whether so many events with so many bytes of topics and data fit a worker's buffer, in a body of
/// `longest` bytes.
fn holds(buffer: usize, events: u32, texts: usize, longest: usize) -> bool {
    let bound = PilotFormat::BOUND;
    bound.buffer(events, texts) <= buffer && bound.body(events, texts) <= longest
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) rule: &'static str,
    pub(crate) detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Disabled,
    Active,
    Clearing { deadline: u64 },
    Closing { deadline: u64 },
    Closed,
}

/// An event of an attempt that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    pub(crate) since: u64,
    pub(crate) epoch: u32,
    is_probe: bool,
    /// Failed attempts of this round.
    failed: u8,
}

/// Events that wait for their next attempt, at a time between these two (which differ by the jitter).
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    ids: Vec<u64>,
    failed: u8,
    pub(crate) earliest: u64,
    pub(crate) latest: u64,
}

/// An event whose rounds of attempts fail.
#[derive(Debug)]
struct Suspect {
    id: u64,
    /// How many of them since another event was delivered.
    strikes: u8,
    /// Whether another event was delivered since the last.
    is_up: bool,
}

#[derive(Debug)]
pub(crate) struct Entry {
    body: String,
    /// A worker has it, or it waits for its next attempt.
    is_leased: bool,
    /// How often the receiver took it, and how often the sender could not know whether it did.
    accepted: u32,
    unsure: u32,
}

impl Entry {
    fn size(&self) -> usize {
        size(&self.body)
    }
}

#[derive(Default)]
pub(crate) struct Hand {
    /// The events it has in its hands: one, or a batch.
    pub(crate) ids: Vec<u64>,
    pub(crate) sending: Option<Sending>,
    pub(crate) is_alive: bool,
    pub(crate) is_done: bool,
    pub(crate) buffer: usize,
    answer: Option<Result<Reply, ErrorKind>>,
}

pub(crate) struct Ledger {
    pub(crate) config: Config,
    queue_bytes: usize,
    /// The most messages that may be under way or wait for their next attempt.
    slots: usize,
    /// The most events that are under suspicion at a time.
    most_suspects: usize,
    /// How late a timer may be.
    pub(crate) grain: u64,
    pub(crate) gate: Gate,
    pub(crate) phase: Phase,
    /// The receiver takes no longer batches.
    longest: usize,
    most: u32,
    pub(crate) retrying: Vec<Waiting>,
    /// With hold: events that may be why the receiver fails.
    suspects: Vec<Suspect>,
    /// The one that failed last.
    last_failed: u64,
    /// Since when a worker is free for the batch that waits.
    pub(crate) gathers_since: Option<u64>,
    pub(crate) live: BTreeMap<u64, Entry>,
    pub(crate) hands: Vec<Hand>,
    /// Emitters that wait for room, with what they emit.
    pub(crate) waiting: BTreeMap<u64, String>,
    pub(crate) drained_waiters: usize,
    pub(crate) closed_waiters: usize,
    pub(crate) counts: Stats,
    /// Fates that were predicted and not yet notified, and those that were notified first.
    fates: BTreeMap<u64, (Option<Fate>, Option<Fate>)>,
    /// The breaker's state of the last notice.
    pub(crate) breaker_told: BreakerState,
    pub(crate) fault: Option<Fault>,
    trace: Option<Vec<String>>,
    now: u64,
}

impl Ledger {
    pub(crate) fn new(
        config: Config,
        queue_bytes: usize,
        slots: usize,
        grain: u64,
        traced: bool,
    ) -> Self {
        let wanted = match config.max_in_flight {
            1 => 1,
            several => usize::from(several) * 2,
        };
        Self {
            config,
            queue_bytes,
            slots: slots.min(wanted),
            most_suspects: slots,
            grain,
            gate: Gate::new(&config),
            phase: Phase::Disabled,
            longest: usize::MAX,
            most: u32::MAX,
            retrying: Vec::new(),
            suspects: Vec::new(),
            last_failed: 0,
            gathers_since: None,
            live: BTreeMap::new(),
            hands: Vec::new(),
            waiting: BTreeMap::new(),
            drained_waiters: 0,
            closed_waiters: 0,
            counts: Stats::default(),
            fates: BTreeMap::new(),
            breaker_told: BreakerState::Closed,
            fault: None,
            trace: traced.then(Vec::new),
            now: 0,
        }
    }

    pub(crate) fn set_now(&mut self, now: u64) {
        self.now = now;
    }

    /// The first fault is the one that counts.
    pub(crate) fn fail(&mut self, rule: &'static str, detail: String) {
        self.note(|| format!("FAULT: {rule}: {detail}"));
        self.fault.get_or_insert(Fault { rule, detail });
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>14} {}", self.now, line()));
        }
    }

    pub(crate) fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        match self.phase {
            Phase::Clearing { deadline } | Phase::Closing { deadline } => Some(deadline),
            _ => None,
        }
    }

    /// Waits that are not over at this time are cut, and their attempts made at once.
    pub(crate) fn cuts_at(&self) -> Option<u64> {
        self.deadline().filter(|_| self.config.long_waits == LongWaits::Cut)
    }

    fn leased(&self) -> usize {
        self.live.values().filter(|entry| entry.is_leased).count()
    }

    pub(crate) fn queued(&self) -> usize {
        self.live.len() - self.leased()
    }

    /// Attempts under way.
    pub(crate) fn sending(&self) -> usize {
        self.hands.iter().filter(|hand| hand.sending.is_some()).count()
    }

    /// Whether one more message may be taken from the queue.
    pub(crate) fn has_place(&self) -> bool {
        self.sending() + self.retrying.len() < self.slots && self.sending() < self.gate.window
    }

    fn oldest_queued(&self) -> Option<u64> {
        self.live.iter().find(|(_, entry)| !entry.is_leased).map(|(id, _)| *id)
    }

    /// An event ends, and the observer must be notified.
    fn ends(&mut self, id: u64, fate: Fate) {
        *match fate {
            Fate::Delivered => &mut self.counts.delivered,
            Fate::Rejected => &mut self.counts.rejected,
            Fate::Exhausted => &mut self.counts.exhausted,
            Fate::Skipped => &mut self.counts.skipped,
            Fate::Dropped => &mut self.counts.dropped,
            Fate::Oversize => &mut self.counts.oversize,
            Fate::Abandoned => &mut self.counts.abandoned,
            other => return self.fail("every fate is known", format!("{other:?}")),
        } += 1;
        self.agree(id, |fates| fates.0.replace(fate));
    }

    /// The observer was notified of the end of an event.
    pub(crate) fn is_told(&mut self, id: u64, fate: Fate) {
        self.note(|| format!("event {id}: {fate:?}"));
        self.agree(id, |fates| fates.1.replace(fate));
    }

    /// Checks that predictions and notices are the same, once each.
    fn agree(
        &mut self,
        id: u64,
        note: impl FnOnce(&mut (Option<Fate>, Option<Fate>)) -> Option<Fate>,
    ) {
        let fates = self.fates.entry(id).or_default();
        let again = note(fates);
        let fates = *fates;
        if again.is_some() || fates.0.is_some() && fates.1.is_some() && fates.0 != fates.1 {
            self.fail("each fate is told once", format!("event {id}: {fates:?}, {again:?}"));
        }
        if fates.0 == fates.1 {
            self.fates.remove(&id);
        }
    }

    fn remove(&mut self, id: u64) {
        if let Some(entry) = self.live.remove(&id)
            && entry.accepted > entry.unsure + 1
        {
            self.fail("delivered once", format!("event {id}: {entry:?}"));
        }
        self.leave_when_empty();
    }

    fn leave_when_empty(&mut self) {
        if self.live.is_empty() {
            self.phase = match self.phase {
                Phase::Clearing { .. } => Phase::Disabled,
                Phase::Closing { .. } => Phase::Closed,
                phase => phase,
            };
        }
    }

    pub(crate) fn swap(&mut self, is_ok: bool) {
        let can = !matches!(self.phase, Phase::Closing { .. } | Phase::Closed);
        if can != is_ok {
            self.fail("a swap works until the close", format!("{:?}", self.phase));
        }
        if can {
            self.phase = Phase::Active;
            self.gate.swap(self.now);
            (self.longest, self.most) = (usize::MAX, u32::MAX);
            self.suspects.clear();
            self.last_failed = 0;
            self.return_retrying();
        }
    }

    pub(crate) fn clear(&mut self) {
        if self.phase == Phase::Active {
            let deadline = self.now + micros(self.config.drain_timeout);
            self.phase = Phase::Clearing { deadline };
            // Nothing waits for a batch now; a swap at this instant begins again.
            self.gathers_since = None;
            self.leave_when_empty();
        }
    }

    pub(crate) fn close(&mut self) {
        self.phase = match self.phase {
            Phase::Disabled => Phase::Closed,
            Phase::Active => {
                Phase::Closing { deadline: self.now + micros(self.config.drain_timeout) }
            }
            Phase::Clearing { deadline } => Phase::Closing { deadline },
            phase => phase,
        };
        self.leave_when_empty();
    }

    pub(crate) fn worker_starts(&mut self, worker: usize, buffer: usize) {
        self.hands[worker] = Hand { is_alive: true, buffer, ..Hand::default() };
    }

    /// A worker's future was dropped.
    pub(crate) fn worker_vanishes(&mut self, worker: usize) {
        self.hands[worker].is_alive = false;
        let Some(sending) = self.hands[worker].sending else { return };
        if self.sending() >= self.gate.window {
            self.gate.free_since = self.now;
        }
        if sending.epoch == self.gate.epoch {
            self.gate.vanished(worker);
        }
        self.give_back(worker);
    }

    /// What waits for its next attempt goes back to its place.
    fn return_retrying(&mut self) {
        for waiting in std::mem::take(&mut self.retrying) {
            self.lease(&waiting.ids, false);
        }
    }

    /// Whether what waits is a batch that need not wait for more.
    pub(crate) fn is_full_batch(&self, buffer: usize) -> bool {
        let waiting = self.live.values().filter(|entry| !entry.is_leased);
        let texts: usize = waiting.map(|entry| texts(&entry.body)).sum();
        let more = u32::try_from(self.queued()).unwrap() + 1;
        // One more event has empty quotes at least.
        self.queued() >= (self.most as usize).min(self.config.batch.into())
            || !holds(buffer, more, texts + 2, self.longest)
            || !self.is_half_empty()
    }

    /// Checked after every step: the conservation invariant, and every counter.
    pub(crate) fn compare(&mut self, stats: &Stats) {
        self.counts.queued = u32::try_from(self.queued()).unwrap();
        self.counts.in_flight = u32::try_from(self.leased()).unwrap();
        self.counts.breaker = self.gate.state();
        self.counts.circuit_opens = self.gate.opens;
        if !stats.is_balanced() {
            self.fail("every event is in exactly one counter", format!("{stats:?}"));
        }
        if *stats != self.counts {
            self.fail("the counters are right", format!("{stats:?}, not {:?}", self.counts));
        }
        if let Some(fates) = self.fates.first_key_value() {
            self.fail("each fate is told", format!("{fates:?}"));
        }
        if self.breaker_told != self.gate.state() {
            self.fail("the breaker's state is told", format!("{:?}", self.breaker_told));
        }
    }
}
