//! The attempts: which may begin and with what, and what must come of their ends.

use pilot_webhook_core::{
    ErrorKind, Fate, LOCAL_ATTEMPTS, OnOpen, POISON_ROUNDS, PilotFormat, Reply, Stats, Timestamp,
    Verdict,
};

use super::{Entry, Ledger, Sending, Suspect, Waiting, holds, texts};
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
        let again = self.retrying.iter().position(|waiting| waiting.ids == ids);
        let (sending, has_place) = (self.sending(), self.has_place());
        let gate = self.gate.begin(worker, sending, now);
        let is_probe = *gate.as_ref().unwrap_or(&false);
        let mut failed = 0;
        let schedule = if let Some(place) = again {
            let waiting = self.retrying.remove(place);
            failed = waiting.failed;
            self.may_go(&waiting)
        } else {
            self.gathers_since = None;
            let expected = self.next_ids(worker, is_probe);
            let overdue = self.retrying.iter().find(|waiting| self.is_due(waiting));
            if ids != expected {
                Err(format!("not {expected:?}"))
            } else if let Some(waiting) = overdue {
                Err(format!("{waiting:?} is due"))
            } else if !has_place && !is_probe {
                Err("there is no place in flight".to_owned())
            } else {
                Ok(())
            }
        };
        if Some(&body) != self.joined(&ids).as_ref() {
            self.fail("the body is sent as it was emitted", body);
        }
        self.lease(&ids, true);
        if let Err(why) = gate {
            self.fail("nothing is sent while the gate is shut", why);
        }
        if let Err(why) = schedule {
            self.fail("each event at its time and in its turn", format!("{ids:?}: {why}"));
        }
        let hand = &mut self.hands[worker];
        hand.ids.clone_from(&ids);
        hand.sending = Some(Sending { since: now, epoch, is_probe, failed });
        ids
    }

    /// Whether the next attempt may be made now.
    fn may_go(&self, waiting: &Waiting) -> Result<(), String> {
        // A drain would be over by then: due at once.
        let is_cut = self.cuts_at().is_some_and(|deadline| waiting.latest >= deadline);
        let is_early = self.now < waiting.earliest && !is_cut;
        let precedes = |other: &&Waiting| other.latest < waiting.earliest && !is_cut;
        match self.retrying.iter().find(precedes) {
            Some(other) => Err(format!("{other:?} was due before {waiting:?}")),
            None if is_early => Err(format!("sent before {}", waiting.earliest)),
            None => Ok(()),
        }
    }

    /// Whether its next attempt is due for sure, so that it goes out before any other event.
    pub(crate) fn is_due(&self, waiting: &Waiting) -> bool {
        let is_cut = self.cuts_at().is_some_and(|deadline| waiting.earliest >= deadline);
        is_cut || self.now >= waiting.latest
    }

    /// The events that a worker must take next: the oldest, and with batches as many as there is
    /// room for of those that wait right behind it. A probe is of one.
    fn next_ids(&self, worker: usize, is_probe: bool) -> Vec<u64> {
        let seeks_another = is_probe && self.oldest_queued() == Some(self.last_failed);
        let is_suspect = |id: &u64| self.suspects.iter().any(|suspect| suspect.id == *id);
        let is_free = |(id, entry): (&u64, &Entry)| {
            let passes = !seeks_another || !is_suspect(id);
            (!entry.is_leased && passes).then_some(*id)
        };
        let first = self.live.iter().find_map(is_free).unwrap_or_default();
        let waiting = self.live.range(first..).skip_while(|(_, entry)| entry.is_leased);
        let waiting = waiting.take_while(|(_, entry)| !entry.is_leased);
        let (mut ids, mut sum) = (Vec::new(), 0);
        let most = if is_probe { 1 } else { self.most.min(self.config.batch.into()) };
        for (id, entry) in waiting.take(most as usize) {
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

    pub(super) fn lease(&mut self, ids: &[u64], is_leased: bool) {
        for id in ids {
            self.live.entry(*id).and_modify(|entry| entry.is_leased = is_leased);
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
        let is_own = (ids.first(), ids.len()) == (Some(&id), events as usize);
        let Some(sending) = self.hands[worker].sending.filter(|_| is_own) else {
            return self.fail("a worker ends its own attempts", format!("event {id}"));
        };
        let Sending { since, epoch, is_probe: probes, failed } = sending;
        let limit = since + micros(self.config.http_timeout);
        let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
        match answer {
            Some(answer) if answer.ok() == result => {}
            None if result.is_none() && now >= limit => {}
            // Its timer ended before a swap made that limit void.
            None if result.is_none() && epoch != self.gate.epoch => {}
            _ => self.fail("an attempt ends as it did", format!("{answer:?} {result:?} {limit}")),
        }
        if (attempt, is_probe) != (failed + 1, probes) {
            let detail = format!("event {id}: {attempt} {is_probe} {sending:?}");
            self.fail("attempts are counted", detail);
        }
        self.counts.last_status = result.map_or(0, |reply| reply.code);
        let is_current = epoch == self.gate.epoch;
        let others = self.sending() - 1;
        if others + 1 >= self.gate.window {
            self.gate.free_since = now;
        }
        match result.map_or(0, |reply| reply.code) {
            status @ (400 | 413 | 422) if events > 1 => {
                // The batch was too long, or one of its events is wrong; it comes again as shorter ones.
                if is_current {
                    self.gate.answered(false, probes, others, now);
                    let texts = ids.iter().map(|id| texts(&self.live[id].body)).sum();
                    let length = PilotFormat::BOUND.body(events, texts);
                    if status == 413 {
                        self.longest = self.longest.min(length / 2);
                    } else {
                        self.most = 1;
                    }
                }
                self.give_back(worker);
            }
            410 => {
                if is_current {
                    self.gate.gone();
                    self.return_retrying();
                }
                if is_current && self.config.on_open == OnOpen::Skip {
                    self.settle(worker, Fate::Rejected);
                } else {
                    self.give_back(worker);
                }
            }
            status @ 200..=499 if !matches!(status, 408 | 425 | 429) => {
                let well = status < 300;
                if is_current {
                    self.gate.answered(well, probes, others, now);
                }
                if is_current && well {
                    self.suspects.iter_mut().for_each(|suspect| suspect.is_up = true);
                    self.most += u32::from(events >= self.most);
                }
                self.settle(worker, if well { Fate::Delivered } else { Fate::Rejected });
            }
            _ if !is_current => self.give_back(worker),
            _ => {
                let asked = result.map_or(0, |reply| asked(reply, wall));
                let error = answer.map_or(Some(ErrorKind::Timeout), Result::err);
                self.failed(worker, sending, error, asked);
            }
        }
    }

    /// Back to their places in the queue.
    pub(super) fn give_back(&mut self, worker: usize) {
        let ids = std::mem::take(&mut self.hands[worker].ids);
        self.hands[worker].sending = None;
        self.lease(&ids, false);
    }

    fn failed(&mut self, worker: usize, sending: Sending, error: Option<ErrorKind>, asked: u64) {
        const LONG: u64 = 60_000_000;
        let now = self.now;
        let is_probe = sending.is_probe;
        let is_local = error == Some(ErrorKind::Local);
        let failed = sending.failed + 1;
        let initial = micros(self.config.backoff.initial);
        let schedule = self.config.schedule;
        let listed = schedule.and_then(|schedule| schedule.wait(failed)).filter(|_| !is_local);
        let exact = listed.map_or(initial << (failed - 1), micros);
        let backoff = self.gate.after(exact, now);
        let attempts = schedule.map_or(self.config.max_attempts, |schedule| schedule.attempts());
        let is_last = failed >= if is_local { attempts.max(LOCAL_ATTEMPTS) } else { attempts };
        let quiet = self.gate.after(asked, now);
        if asked > 0 {
            self.gate.asked(quiet);
        }
        if asked > LONG {
            self.gate.tripped(quiet);
        } else if is_local {
            self.gate.postponed(is_probe, backoff);
        } else if is_probe || is_last {
            self.gate.failed(is_probe, now);
        }
        if !self.gate.is_closed() {
            self.return_retrying();
        }
        let holds = self.config.on_open == OnOpen::Hold;
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            return self.settle(worker, Fate::Abandoned);
        }
        let is_seen = !matches!(
            error,
            Some(
                ErrorKind::Resolve
                    | ErrorKind::Refused
                    | ErrorKind::Connect
                    | ErrorKind::Tls
                    | ErrorKind::Local
            )
        );
        if is_last && is_seen && self.hands[worker].ids.len() > 1 {
            self.most = 1;
            return self.give_back(worker);
        }
        let is_over = is_probe && !is_local || is_last;
        let is_given_up = if holds {
            is_over && is_seen && asked == 0 && self.is_poison(worker)
        } else {
            is_over || asked > LONG
        };
        if is_given_up {
            return self.settle(worker, Fate::Exhausted);
        }
        if !self.gate.is_closed() {
            return self.give_back(worker);
        }
        if is_last && self.cuts_at().is_some_and(|deadline| now + initial >= deadline) {
            // No time for another round.
            return self.settle(worker, Fate::Abandoned);
        }
        let hand = &mut self.hands[worker];
        hand.sending = None;
        self.retrying.push(Waiting {
            ids: std::mem::take(&mut hand.ids),
            failed: if is_last { 0 } else { failed },
            earliest: backoff.from.max(quiet.from),
            latest: backoff.to.max(quiet.to),
        });
    }

    /// With hold, an event whose rounds fail although others are delivered between them is given up.
    fn is_poison(&mut self, worker: usize) -> bool {
        let id = self.hands[worker].ids[0];
        self.last_failed = id;
        match self.suspects.iter_mut().find(|suspect| suspect.id == id) {
            Some(suspect) => {
                suspect.strikes += u8::from(suspect.is_up);
                suspect.is_up = false;
                suspect.strikes >= POISON_ROUNDS
            }
            None => {
                if self.suspects.len() == self.most_suspects {
                    self.suspects.remove(0);
                }
                self.suspects.push(Suspect { id, strikes: 0, is_up: false });
                false
            }
        }
    }

    fn settle(&mut self, worker: usize, fate: Fate) {
        let ids = std::mem::take(&mut self.hands[worker].ids);
        self.hands[worker].sending = None;
        for id in ids {
            if fate == Fate::Delivered && self.live[&id].accepted == 0 {
                self.fail("delivered means that the receiver has it", format!("event {id}"));
            }
            self.ends(id, fate);
            self.remove(id);
        }
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
