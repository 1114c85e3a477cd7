//! The attempts: which may begin and with what, and what must come of their ends.

use pilot_webhook_core::{ErrorKind, Fate, OnOpen, PilotFormat, Reply, Stats, Timestamp, Verdict};

use super::{Entry, Held, Ledger, Step, holds, texts};
use crate::sim::gate::Gate;
use crate::sim::time::micros;

impl Ledger {
    /// A worker posts: `epoch` is the endpoint's number. Returns the events.
    pub(crate) fn attempt_begins(
        &mut self,
        worker: usize,
        epoch: u32,
        body: &[u8],
        now: u64,
        stats: &Stats,
    ) -> Vec<u64> {
        let body = String::from_utf8_lossy(body).into_owned();
        let ids = ids_of(&body);
        self.note(|| format!("worker {worker} posts events {ids:?} to /{epoch}"));
        self.reconcile(worker, stats, &ids);
        self.counts.attempts += 1;
        if epoch != self.gate.epoch {
            self.fail("sent to the endpoint of that moment", format!("{epoch}"));
        }
        let is_fresh = self.hands[worker].ids != ids;
        let expected = if is_fresh { self.next_ids(worker) } else { ids.clone() };
        let deadline = self.deadline();
        let sending = self.sending();
        let gate = self.gate.begin(worker, sending, now);
        let mut failed = 0;
        let mut schedule = Ok(());
        if ids != expected {
            schedule = Err(format!("not {expected:?}"));
        } else if !is_fresh && let Some(held) = self.live.get(&ids[0]).and_then(Entry::held) {
            failed = held.failed;
            schedule = held.may_go(now, self.grain, &self.gate, deadline);
        }
        if Some(&body) != self.joined(&ids).as_ref() {
            self.fail("the body is sent as it was emitted", body);
        }
        let is_probe = *gate.as_ref().unwrap_or(&false);
        let step = Step::Sending { since: now, epoch, is_probe };
        self.hold(&ids, Some(Held { worker, failed, step }));
        self.gathers_since = None;
        if let Err(why) = gate {
            self.fail("nothing is sent while the gate is shut", why);
        }
        if let Err(why) = schedule {
            self.fail("each event at its time and in its turn", format!("{ids:?}: {why}"));
        }
        self.hands[worker].ids.clone_from(&ids);
        ids
    }

    /// The events that a worker must take next: the oldest, and with batches as many as there is
    /// room for of those that wait right behind it.
    fn next_ids(&self, worker: usize) -> Vec<u64> {
        let waiting = self.live.iter().skip_while(|(_, entry)| entry.held.is_some());
        let waiting = waiting.take_while(|(_, entry)| entry.held.is_none());
        let (mut ids, mut sum) = (Vec::new(), 0);
        for (id, entry) in waiting.take(self.config.batch.into()) {
            sum += texts(&entry.body);
            let events = u32::try_from(ids.len()).unwrap() + 1;
            if !ids.is_empty() && !holds(self.hands[worker].buffer, events, sum, self.longest) {
                break;
            }
            ids.push(*id);
        }
        ids
    }

    /// The body that these events make.
    fn joined(&self, ids: &[u64]) -> Option<String> {
        let bodies = ids.iter().map(|id| Some(self.live.get(id)?.body.as_str()));
        let bodies = bodies.collect::<Option<Vec<_>>>()?.join(",");
        Some(if self.config.batch > 1 { format!("[{bodies}]") } else { bodies })
    }

    fn hold(&mut self, ids: &[u64], held: Option<Held>) {
        for id in ids {
            self.live.entry(*id).and_modify(|entry| entry.held = held);
        }
    }

    /// The receiver answers 2xx: it has the events.
    pub(crate) fn are_accepted(&mut self, ids: &[u64]) {
        ids.iter().for_each(|id| self.is_accepted(*id));
    }

    fn is_accepted(&mut self, id: u64) {
        let Some(entry) = self.live.get_mut(&id) else { return };
        entry.accepted += 1;
        if entry.accepted > entry.unsure + 1 {
            let detail = format!("event {id}: {entry:?}");
            self.fail("delivered twice only if the first outcome was unknown", detail);
        }
    }

    /// The receiver had the events, and the sender cannot know.
    pub(crate) fn are_unsure(&mut self, ids: &[u64]) {
        for id in ids {
            self.live.entry(*id).and_modify(|entry| entry.unsure += 1);
        }
    }

    /// The transport returned to its worker.
    pub(crate) fn has_answer(&mut self, worker: usize, answer: Result<Reply, ErrorKind>) {
        self.hands[worker].answer = Some(answer);
    }

    pub(crate) fn attempt_ended(
        &mut self,
        worker: usize,
        (id, events, attempt, is_probe): (u64, u32, u8, bool),
        result: Option<Reply>,
        wall: Timestamp,
    ) {
        let now = self.now;
        self.note(|| format!("worker {worker}: event {id} attempt {attempt} ends: {result:?}"));
        let answer = self.hands[worker].answer.take();
        let deadline = self.deadline();
        let ids = self.hands[worker].ids.clone();
        let held = self.live.get(&id).and_then(|entry| entry.held);
        let is_own = (ids.first(), ids.len()) == (Some(&id), events as usize);
        let Some(mut held) = held.filter(|held| is_own && held.worker == worker) else {
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
        self.counts.last_status = result.map_or(0, |reply| reply.code);
        let is_current = epoch == self.gate.epoch;
        let others = self.sending().saturating_sub(usize::from(is_current));
        if others + 1 >= self.gate.window {
            self.gate.free_since = now;
        }
        match result.map_or(0, |reply| reply.code) {
            413 if events > 1 => {
                // The batch was too long; it comes again as shorter ones.
                if is_current {
                    self.gate.answered(false, probes, others, now);
                    let texts = ids.iter().map(|id| texts(&self.live[id].body)).sum();
                    let length = PilotFormat::BOUND.body(events, texts);
                    self.longest = self.longest.min(length / 2);
                }
                self.give_back(worker);
            }
            status @ 200..=499 if !matches!(status, 408 | 425 | 429) => {
                let well = status < 300;
                if is_current {
                    self.gate.answered(well, probes, others, now);
                }
                self.settle(worker, if well { Fate::Delivered } else { Fate::Rejected });
            }
            _ if !is_current => {
                held.step = Step::Waiting { since: now, earliest: now, latest: now, epoch };
                self.hold(&ids, Some(held));
            }
            _ => {
                let asked = result.map_or(0, |reply| asked(reply, wall));
                self.failed(worker, held, probes, asked);
            }
        }
    }

    /// Back to their places in the queue.
    fn give_back(&mut self, worker: usize) {
        let ids = std::mem::take(&mut self.hands[worker].ids);
        self.hold(&ids, None);
    }

    fn failed(&mut self, worker: usize, mut held: Held, is_probe: bool, asked: u64) {
        const LONG: u64 = 60_000_000;
        let now = self.now;
        held.failed += 1;
        let is_last = held.failed >= self.config.max_attempts;
        let quiet = self.gate.after(asked, now);
        if asked > 0 {
            self.gate.asked(quiet);
        }
        if asked > LONG {
            self.gate.tripped(quiet);
        } else if is_probe || is_last {
            self.gate.failed(is_probe, now);
        }
        let holds = self.config.on_open == OnOpen::Hold;
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            return self.settle(worker, Fate::Abandoned);
        }
        if !holds && (is_probe || is_last || asked > LONG) {
            return self.settle(worker, Fate::Exhausted);
        }
        if holds && !self.gate.is_closed() {
            return self.give_back(worker);
        }
        let initial = micros(self.config.backoff.initial);
        if is_last && self.deadline().is_some_and(|deadline| now + initial >= deadline) {
            // No time for another round.
            return self.settle(worker, Fate::Abandoned);
        }
        let exact = initial << (held.failed - 1);
        let jitter = exact * u64::from(self.config.backoff.jitter_percent) / 100;
        if is_last {
            held.failed = 0;
        }
        held.step = Step::Waiting {
            since: now,
            earliest: (now + exact).max(quiet.from),
            latest: (now + exact + jitter).max(quiet.to),
            epoch: self.gate.epoch,
        };
        let ids = self.hands[worker].ids.clone();
        self.hold(&ids, Some(held));
    }

    fn settle(&mut self, worker: usize, fate: Fate) {
        let ids = std::mem::take(&mut self.hands[worker].ids);
        for id in ids {
            if fate == Fate::Delivered && self.live[&id].accepted == 0 {
                self.fail("delivered means that the receiver has it", format!("event {id}"));
            }
            self.ends(id, fate);
            self.remove(id);
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
        let due = latest.max(gate.quiet_until.to).max(gate.free_since);
        if now > due + grain && gate.is_closed() && gate.closed_since <= since {
            return Err(format!("sent after {due}"));
        }
        Ok(())
    }
}

/// The events in a body: one, or an array. What is no event's is 0.
fn ids_of(body: &str) -> Vec<u64> {
    // No payload of these runs holds the key twice.
    let ids = body.split("{\"event_id\":").skip(1).map(|rest| rest.split(',').next());
    ids.map(|id| id.and_then(|id| id.parse().ok()).unwrap_or(0)).collect()
}

/// What a `Retry-After` asks for, in microseconds.
fn asked(reply: Reply, wall: Timestamp) -> u64 {
    use pilot_webhook_core::RetryAfter::{At, Delay};
    let seconds = match reply.verdict {
        Verdict::Later(Some(Delay(delay))) => delay.as_secs(),
        Verdict::Later(Some(At(at))) => u64::try_from(at.seconds() - wall.seconds()).unwrap_or(0),
        _ => 0,
    };
    seconds.min(3_600) * 1_000_000
}
