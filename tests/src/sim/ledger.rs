//! Where every event is, worked out from what can be seen from outside, and compared with core's
//! own counters after every step.
//!
//! It is told of what goes in (emits, swaps, clears, closes, workers that vanish), of what comes
//! out (attempts at the transport, notices at the observer), and predicts the rest.

use std::collections::BTreeMap;

use pilot_webhook_core::{
    BreakerState, Config, EmitError, EncodeError, ErrorKind, Fate, OnFull, OnOpen, Response, Stats,
    Timestamp,
};

use super::gate::Gate;
use super::time::micros;

/// What an entry takes in the queue beside its payload.
const HEADER: usize = 12;

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

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Sending {
        since: u64,
        epoch: u32,
        is_probe: bool,
    },
    /// For its next attempt, at a time between these two (which differ by the jitter).
    Waiting {
        since: u64,
        earliest: u64,
        latest: u64,
        epoch: u32,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) worker: usize,
    /// Failed attempts of this round.
    failed: u8,
    pub(crate) step: Step,
}

#[derive(Debug)]
pub(crate) struct Entry {
    body: String,
    held: Option<Held>,
    /// How often the receiver took it, and how often nobody could know whether it did.
    accepted: u32,
    unsure: u32,
}

impl Entry {
    pub(crate) fn held(&self) -> Option<Held> {
        self.held
    }

    fn size(&self) -> usize {
        HEADER + self.body.len()
    }
}

#[derive(Default)]
pub(crate) struct Hand {
    pub(crate) id: Option<u64>,
    pub(crate) is_alive: bool,
    pub(crate) is_done: bool,
    buffer: usize,
    answer: Option<Result<Response, ErrorKind>>,
    settles: Option<(u64, Fate)>,
}

pub(crate) struct Ledger {
    pub(crate) config: Config,
    queue_bytes: usize,
    /// How late a timer may be.
    pub(crate) grain: u64,
    pub(crate) gate: Gate,
    pub(crate) phase: Phase,
    pub(crate) live: BTreeMap<u64, Entry>,
    pub(crate) hands: Vec<Hand>,
    /// Emitters that wait for room, with what they emit.
    pub(crate) waiting: BTreeMap<u64, String>,
    pub(crate) drained_waiters: usize,
    pub(crate) closed_waiters: usize,
    pub(crate) counts: Stats,
    pub(crate) fault: Option<Fault>,
    trace: Option<Vec<String>>,
    now: u64,
}

impl Ledger {
    pub(crate) fn new(config: Config, queue_bytes: usize, grain: u64, traced: bool) -> Self {
        Self {
            config,
            queue_bytes,
            grain,
            gate: Gate::new(&config),
            phase: Phase::Disabled,
            live: BTreeMap::new(),
            hands: Vec::new(),
            waiting: BTreeMap::new(),
            drained_waiters: 0,
            closed_waiters: 0,
            counts: Stats {
                emitted: 0,
                delivered: 0,
                rejected: 0,
                exhausted: 0,
                skipped: 0,
                dropped: 0,
                oversize: 0,
                abandoned: 0,
                queued: 0,
                in_flight: 0,
                attempts: 0,
                circuit_opens: 0,
                last_status: 0,
                breaker: BreakerState::Closed,
            },
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

    fn leased(&self) -> usize {
        self.live.values().filter(|entry| entry.held.is_some()).count()
    }

    pub(crate) fn queued(&self) -> usize {
        self.live.len() - self.leased()
    }

    fn oldest_queued(&self) -> Option<u64> {
        self.live.iter().find(|(_, entry)| entry.held.is_none()).map(|(id, _)| *id)
    }

    /// Whether a body of this length has room now.
    pub(crate) fn fits(&self, length: usize) -> bool {
        let used: usize = self.live.values().map(Entry::size).sum();
        self.live.len() < self.config.capacity as usize
            && HEADER + length <= self.queue_bytes - used
    }

    /// Whether at least half of the queue is free: who waits for room is woken then.
    pub(crate) fn is_half_empty(&self) -> bool {
        let used: usize = self.live.values().map(Entry::size).sum();
        self.live.len() <= self.config.capacity as usize / 2
            && self.queue_bytes - used >= self.queue_bytes / 2
    }

    pub(crate) fn body(&self, tail: &str) -> String {
        format!("{{\"event_id\":{}{tail}", self.counts.emitted + 1)
    }

    /// An event was handed in, and `answer` came back.
    pub(crate) fn emitted(
        &mut self,
        tail: &str,
        waits: bool,
        answer: Result<Option<u64>, EmitError>,
    ) {
        let expected = self.take_in(tail, waits);
        self.note(|| format!("emit -> {answer:?}"));
        if answer != expected {
            self.fail("an emit is answered as specified", format!("{answer:?}, not {expected:?}"));
        }
    }

    fn take_in(&mut self, tail: &str, waits: bool) -> Result<Option<u64>, EmitError> {
        match self.phase {
            Phase::Active => {}
            Phase::Disabled | Phase::Clearing { .. } => return Ok(None),
            Phase::Closing { .. } | Phase::Closed => return Err(EmitError::Closed),
        }
        let capacity = self.config.capacity as usize;
        let drops_newest = self.config.on_full == OnFull::DropNewest;
        let body = self.body(tail);
        let is_full = self.live.len() >= capacity;
        let id = self.counts.emitted + 1;
        if !(is_full && drops_newest && !waits)
            && (body.len() > self.config.max_event_bytes || HEADER + body.len() > self.queue_bytes)
        {
            self.counts.emitted = id;
            self.counts.oversize += 1;
            return Err(EmitError::Payload(EncodeError::TooLong));
        }
        let pinned = || self.live.values().filter(|entry| entry.held.is_some());
        let pinned_bytes: usize = pinned().map(Entry::size).sum();
        let could_fit =
            pinned().count() < capacity && HEADER + body.len() <= self.queue_bytes - pinned_bytes;
        while !self.fits(body.len()) {
            let oldest = self.oldest_queued().filter(|_| could_fit && !drops_newest && !waits);
            let Some(oldest) = oldest else {
                self.counts.emitted = id;
                self.counts.dropped += 1;
                return Err(EmitError::Full);
            };
            self.counts.dropped += 1;
            self.remove(oldest);
        }
        self.counts.emitted = id;
        self.live.insert(id, Entry { body, held: None, accepted: 0, unsure: 0 });
        Ok(Some(id))
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
        }
    }

    pub(crate) fn clear(&mut self) {
        if self.phase == Phase::Active {
            let deadline = self.now + micros(self.config.drain_timeout);
            self.phase = Phase::Clearing { deadline };
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
        if let Some(id) = self.hands[worker].id.take()
            && let Some(entry) = self.live.get_mut(&id)
            && let Some(Held { step, .. }) = entry.held.take()
            && let Step::Sending { epoch, .. } = step
            && epoch == self.gate.epoch
        {
            self.gate.vanished(worker);
        }
    }

    /// The worker's poll is over, or it begins the attempt `starting`: what it did unseen (it
    /// passed over events, or abandoned them) shows in the counters only.
    pub(crate) fn reconcile(&mut self, worker: usize, stats: &Stats, starting: Option<u64>) {
        let mut skipped = stats.skipped.saturating_sub(self.counts.skipped);
        let mut abandoned = stats.abandoned.saturating_sub(self.counts.abandoned);
        let own = self.hands[worker].id;
        let is_fresh = starting.is_some() && starting != own;
        let leased = stats.in_flight as usize - usize::from(is_fresh);
        if let Some(own) = own
            && starting != Some(own)
            && leased < self.leased()
        {
            self.hands[worker].id = None;
            if skipped > 0 {
                skipped -= 1;
                self.skip(own);
            } else if abandoned > 0 {
                abandoned -= 1;
                self.abandon(own, worker);
            } else {
                self.fail("no event goes missing", format!("event {own}, worker {worker}"));
            }
        }
        for _ in 0..skipped {
            self.oldest_queued().into_iter().for_each(|id| self.skip(id));
        }
        for _ in 0..abandoned {
            self.oldest_queued().into_iter().for_each(|id| self.abandon(id, worker));
        }
    }

    fn skip(&mut self, id: u64) {
        self.note(|| format!("event {id} is skipped"));
        self.counts.skipped += 1;
        let is_open = self.gate.state() == BreakerState::Open
            && self.gate.admits_at().is_some_and(|at| self.now < at);
        if !is_open || self.config.on_open != OnOpen::Skip {
            self.fail("skipped only while open", format!("event {id}, {:?}", self.gate));
        }
        self.remove(id);
    }

    fn abandon(&mut self, id: u64, worker: usize) {
        self.note(|| format!("event {id} is abandoned"));
        self.counts.abandoned += 1;
        let is_hopeless = |deadline| {
            let opens_at = self.gate.admits_at().unwrap_or(self.gate.quiet_until);
            self.now >= deadline || opens_at >= deadline
        };
        let is_over = self.deadline().is_some_and(is_hopeless);
        let fits = self.live[&id].body.len() <= self.hands[worker].buffer;
        if !is_over && fits {
            self.fail("abandoned only when the time is over", format!("event {id}"));
        }
        self.remove(id);
    }

    /// A worker posts: `epoch` is the endpoint's number.
    pub(crate) fn attempt_begins(
        &mut self,
        worker: usize,
        epoch: u32,
        body: &[u8],
        now: u64,
        stats: &Stats,
    ) -> u64 {
        let body = String::from_utf8_lossy(body).into_owned();
        let id = body.strip_prefix("{\"event_id\":").and_then(|rest| rest.split(',').next());
        let id = id.and_then(|id| id.parse().ok()).unwrap_or(0);
        self.note(|| format!("worker {worker} posts event {id} to /{epoch}"));
        self.reconcile(worker, stats, Some(id));
        self.counts.attempts += 1;
        if epoch != self.gate.epoch {
            self.fail("sent to the endpoint of that moment", format!("{epoch}"));
        }
        let oldest = self.oldest_queued();
        let deadline = self.deadline();
        let gate = self.gate.begin(worker, now);
        let Some(entry) = self.live.get_mut(&id) else {
            self.fail("only live events are sent", format!("event {id}: {body}"));
            return id;
        };
        let is_same = entry.body == body;
        let mut failed = 0;
        let mut schedule = Ok(());
        match entry.held {
            Some(held) if held.worker == worker => {
                failed = held.failed;
                schedule = held.may_go(now, self.grain, &self.gate, deadline);
            }
            Some(held) => schedule = Err(format!("worker {} has it", held.worker)),
            None if oldest != Some(id) => schedule = Err(format!("{oldest:?} comes first")),
            None => {}
        }
        let is_probe = *gate.as_ref().unwrap_or(&false);
        let step = Step::Sending { since: now, epoch, is_probe };
        entry.held = Some(Held { worker, failed, step });
        self.hands[worker].id = Some(id);
        if !is_same {
            self.fail("the body is sent as it was emitted", body);
        }
        if let Err(why) = gate {
            self.fail("nothing is sent while the gate is shut", why);
        }
        if let Err(why) = schedule {
            self.fail("each event at its time and in its turn", format!("event {id}: {why}"));
        }
        id
    }

    /// The receiver answers 2xx: it has the event.
    pub(crate) fn is_accepted(&mut self, id: u64) {
        let Some(entry) = self.live.get_mut(&id) else { return };
        entry.accepted += 1;
        if entry.accepted > entry.unsure + 1 {
            let detail = format!("event {id}: {entry:?}");
            self.fail("delivered twice only if the first outcome was unknown", detail);
        }
    }

    /// The receiver had the event, and the sender cannot know.
    pub(crate) fn is_unsure(&mut self, id: u64) {
        if let Some(entry) = self.live.get_mut(&id) {
            entry.unsure += 1;
        }
    }

    /// The transport returned to its worker.
    pub(crate) fn has_answer(&mut self, worker: usize, answer: Result<Response, ErrorKind>) {
        self.hands[worker].answer = Some(answer);
    }

    pub(crate) fn attempt_ended(
        &mut self,
        worker: usize,
        (id, attempt, is_probe): (u64, u8, bool),
        result: Option<Response>,
        wall: Timestamp,
    ) {
        let now = self.now;
        self.note(|| format!("worker {worker}: event {id} attempt {attempt} ends: {result:?}"));
        let answer = self.hands[worker].answer.take();
        let deadline = self.deadline();
        let held = self.live.get(&id).and_then(|entry| entry.held);
        let Some(mut held) = held.filter(|held| held.worker == worker) else {
            return self.fail("a worker ends its own attempts", format!("event {id}"));
        };
        let Step::Sending { since, epoch, is_probe: probes } = held.step else {
            return self.fail("an attempt that ends has begun", format!("event {id}"));
        };
        let limit = since + micros(self.config.http_timeout);
        let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
        match answer {
            Some(answer) if answer.ok() == result => {}
            None if result.is_none() && now >= limit => {}
            // Its timer ended before a swap made that limit void.
            None if result.is_none() && epoch != self.gate.epoch => {}
            _ => self.fail("an attempt ends as it did", format!("{answer:?} {result:?} {limit}")),
        }
        if (attempt, is_probe) != (held.failed + 1, probes) {
            let detail = format!("event {id}: {attempt} {is_probe} {held:?}");
            self.fail("attempts are counted", detail);
        }
        self.counts.last_status = result.map_or(0, |response| response.status);
        let is_current = epoch == self.gate.epoch;
        match result.map_or(0, |response| response.status) {
            status @ 200..=499 if !matches!(status, 408 | 425 | 429) => {
                let well = status < 300;
                if is_current {
                    self.gate.answered(well, probes, now);
                }
                self.settle(worker, id, if well { Fate::Delivered } else { Fate::Rejected });
            }
            _ if !is_current => {
                held.step = Step::Waiting { since: now, earliest: now, latest: now, epoch };
                self.live.entry(id).and_modify(|entry| entry.held = Some(held));
            }
            _ => {
                let asked = result.map_or(0, |response| asked(response, wall));
                self.failed(worker, id, held, probes, asked);
            }
        }
    }

    fn failed(&mut self, worker: usize, id: u64, mut held: Held, is_probe: bool, asked: u64) {
        const LONG: u64 = 60_000_000;
        let now = self.now;
        held.failed += 1;
        let is_last = held.failed >= self.config.max_attempts;
        if asked > 0 {
            self.gate.asked(now + asked);
        }
        if asked > LONG {
            self.gate.tripped(now + asked);
        } else if is_probe || is_last {
            self.gate.failed(is_probe, now);
        }
        let holds = self.config.on_open == OnOpen::Hold;
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            return self.settle(worker, id, Fate::Abandoned);
        }
        if !holds && (is_probe || is_last || asked > LONG) {
            return self.settle(worker, id, Fate::Exhausted);
        }
        if holds && !self.gate.is_closed() {
            // Back to its place in the queue.
            self.hands[worker].id = None;
            self.live.entry(id).and_modify(|entry| entry.held = None);
            return;
        }
        let exact = micros(self.config.backoff.initial) << (held.failed - 1);
        let jitter = exact * u64::from(self.config.backoff.jitter_percent) / 100;
        if is_last {
            held.failed = 0;
        }
        held.step = Step::Waiting {
            since: now,
            earliest: now + exact.max(asked),
            latest: now + (exact + jitter).max(asked),
            epoch: self.gate.epoch,
        };
        self.live.entry(id).and_modify(|entry| entry.held = Some(held));
    }

    fn settle(&mut self, worker: usize, id: u64, fate: Fate) {
        match fate {
            Fate::Delivered => self.counts.delivered += 1,
            Fate::Rejected => self.counts.rejected += 1,
            Fate::Exhausted => self.counts.exhausted += 1,
            Fate::Skipped => self.counts.skipped += 1,
            Fate::Abandoned => self.counts.abandoned += 1,
        }
        if fate == Fate::Delivered && self.live[&id].accepted == 0 {
            self.fail("delivered means that the receiver has it", format!("event {id}"));
        }
        self.hands[worker].id = None;
        self.hands[worker].settles = Some((id, fate));
        self.remove(id);
    }

    /// The observer was told that an event is settled.
    pub(crate) fn is_settled(&mut self, worker: usize, id: u64, fate: Fate) {
        let expected = self.hands[worker].settles.take();
        self.note(|| format!("event {id}: {fate:?}"));
        if expected != Some((id, fate)) {
            self.fail("events are settled as specified", format!("{fate:?}, not {expected:?}"));
        }
    }

    /// After every step: the law, and every counter of its own.
    pub(crate) fn compare(&mut self, stats: &Stats) {
        self.counts.queued = u32::try_from(self.queued()).unwrap();
        self.counts.in_flight = u32::try_from(self.leased()).unwrap();
        self.counts.breaker = self.gate.state();
        self.counts.circuit_opens = self.gate.opens;
        if !stats.is_balanced() {
            self.fail("the law", format!("{stats:?}"));
        }
        if *stats != self.counts {
            self.fail("the counters are right", format!("{stats:?}, not {:?}", self.counts));
        }
        if let Some((id, fate)) = self.hands.iter().find_map(|hand| hand.settles) {
            self.fail("events are settled as specified", format!("{id} is not {fate:?}"));
        }
    }
}

impl Held {
    /// Whether the next attempt may be made now, and should not have been made before.
    fn may_go(
        &self,
        now: u64,
        grain: u64,
        gate: &Gate,
        deadline: Option<u64>,
    ) -> Result<(), String> {
        let (since, earliest, latest) = match self.step {
            Step::Waiting { since, earliest, latest, epoch } if epoch == gate.epoch => {
                (since, earliest, latest)
            }
            Step::Sending { epoch, .. } if epoch == gate.epoch => {
                return Err("its last attempt has not ended".into());
            }
            // The endpoint was swapped meanwhile: due at once.
            _ => return Ok(()),
        };
        // A drain would be over by then: due at once.
        let is_cut = deadline.is_some_and(|deadline| latest >= deadline);
        if now < earliest && !is_cut {
            return Err(format!("sent before {earliest}"));
        }
        // Unless the breaker meant it to wait, it goes to the microsecond.
        let due = latest.max(gate.quiet_until);
        if now > due + grain && gate.is_closed() && gate.closed_since <= since {
            return Err(format!("sent after {due}"));
        }
        Ok(())
    }
}

/// What a `Retry-After` asks for, in microseconds.
fn asked(response: Response, wall: Timestamp) -> u64 {
    use pilot_webhook_core::RetryAfter::{At, Delay};
    let seconds = match response.retry_after {
        Some(Delay(delay)) => delay.as_secs(),
        Some(At(at)) => u64::try_from(at.seconds() - wall.seconds()).unwrap_or(0),
        None => 0,
    };
    let is_honoured = matches!(response.status, 429 | 503);
    if is_honoured { seconds.min(3_600) * 1_000_000 } else { 0 }
}
