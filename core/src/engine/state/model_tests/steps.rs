//! What each action does, and the promises that its answer keeps or breaks.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::vec::Vec;

use super::rules::{self, Rule};
use super::world::{Action, BackingOff, End, Hand, World, endpoint};
use super::{Bounds, TICK};
use crate::clock::Instant;
use crate::engine::breaker::BreakerState;
use crate::engine::config::OnOpen;
use crate::engine::delivery::{After, Fate, Next};
use crate::engine::retry::RETRY_AFTER_WAIT;
use crate::engine::state::Phase;
use crate::engine::state::retrying::Retrying;
use crate::event::{EmitError, Event, Timestamp};
use crate::http::Response;
use crate::queue::{Bound, Encoded};
use crate::transport::{ErrorKind, Reply, RetryAfter};

const NEVER: Instant = Instant::from_micros(u64::MAX);

/// Two events without data fit the buffer, of 34 bytes each.
const BOUND: Bound = Bound { message: 0, event: 1, factor: 0 };

impl World {
    pub(super) fn step(&self, bounds: &Bounds, action: Action) -> Self {
        let mut next = self.clone();
        next.told.clear();
        next.apply(bounds, action);
        next.told.extend(next.state.ended.take());
        next.entries = next.state.queue.entries();
        if let Some(rule) = rules::broken_step(bounds, self, &next, action) {
            next.expect(rule, false);
        }
        bounds.seen.fetch_or(next.sights(), Ordering::Relaxed);
        next
    }

    fn apply(&mut self, bounds: &Bounds, action: Action) {
        match action {
            Action::Emit => self.emit(bounds),
            Action::Swap => {
                if self.state.swap(endpoint()) {
                    self.swaps -= 1;
                    self.quiet_until = Instant::default();
                    self.hands.iter_mut().for_each(|hand| hand.at_once = 0);
                    // A new endpoint, a new round.
                    self.backing_off.clear();
                    self.suspects.clear();
                    self.last_failed = 0;
                }
            }
            Action::Clear => {
                self.clears -= u8::from(self.state.phase == Phase::Active);
                self.state.clear(self.now);
            }
            Action::Close => self.state.close(self.now),
            Action::Tick => {
                self.now = self.now + TICK;
                self.hands.iter_mut().for_each(|hand| hand.at_once = 0);
                self.backing_off.iter_mut().for_each(|waiting| waiting.at_once = 0);
            }
            Action::Take => self.take(bounds),
            Action::Finish(place, end) => self.finish(bounds, place, end),
            Action::Cancel(place) => self.give_back(place),
            Action::Lose(place) => {
                self.losses -= 1;
                self.give_back(place);
            }
        }
    }

    /// A promise is broken unless `is_kept`; the first one counts.
    fn expect(&mut self, rule: Rule, is_kept: bool) {
        if !is_kept {
            self.broken.get_or_insert(rule);
        }
    }

    fn emit(&mut self, bounds: &Bounds) {
        let is_full = self.entries.len() >= bounds.config.capacity as usize;
        let last = self.state.counters.emitted;
        let event = Event::new("", 0, Timestamp::UNIX_EPOCH);
        let mut scratch = [0; 8];
        let Ok(event) = Encoded::new(&event, &(), &mut scratch) else {
            return self.expect(Rule::OneEnd, false);
        };
        let answer = loop {
            let answer = self.state.push(&event, false);
            self.told.extend(self.state.ended.take());
            if let Some(answer) = answer {
                break answer;
            }
        };
        let is_kept = match answer {
            Ok(Some(id)) => {
                id == last + 1 && self.state.queue.entries().last() == Some(&(id, false))
            }
            Ok(None) => matches!(self.state.phase, Phase::Disabled | Phase::Clearing),
            Err(EmitError::Full) => is_full,
            Err(EmitError::Closed) => {
                matches!(self.state.phase, Phase::Closing | Phase::Closed)
            }
            Err(EmitError::Payload(_) | EmitError::Id) => false,
        };
        self.expect(Rule::OneEnd, is_kept);
    }

    fn take(&mut self, bounds: &Bounds) {
        let (due, quiet) = (self.due(), self.quiet());
        match self.state.next(self.now, BOUND, &mut [0; 70]) {
            Next::Attempt(delivery) => {
                self.idle -= 1;
                let id = delivery.event_id();
                let again =
                    self.backing_off.iter().position(|waiting| waiting.ids.first() == Some(&id));
                let (ids, failed, at_once) = if let Some(place) = again {
                    let waiting = self.backing_off.remove(place);
                    let mut others = self.backing_off.iter();
                    let is_earliest =
                        others.all(|other| self.due_of(&waiting) <= self.due_of(other));
                    self.expect(Rule::Backoff, due.is_some_and(|due| due <= self.now));
                    self.expect(Rule::Order, is_earliest);
                    (waiting.ids, waiting.failed, waiting.at_once)
                } else {
                    // What is due goes first, and with one under way nothing overtakes it.
                    let in_order = bounds.config.max_in_flight > 1
                        || self.hands.is_empty() && self.backing_off.is_empty();
                    self.expect(Rule::Order, in_order && due.is_none_or(|due| due > self.now));
                    (self.taken(bounds, id, delivery.is_probe()), 0, 0)
                };
                self.expect(Rule::Order, ids.len() == delivery.events() as usize);
                let place = self.hands.partition_point(|hand| hand.ids < ids);
                let started = self.now;
                self.hands.insert(place, Hand { delivery, ids, started, failed, at_once });
                self.begun(bounds, place);
            }
            Next::Idle(until) => {
                let is_busy = self.probes() == 1 || self.state.places() == 0;
                let is_sound = until.is_none_or(|until| self.is_to_come(until))
                    && (is_busy || self.state.queue.queued() == 0)
                    && due.is_none_or(|due| {
                        until == Some(due) || due <= self.now && self.sending() >= self.state.window
                    });
                self.expect(Rule::Wait, is_sound);
            }
            Next::Wait(until) => {
                let gathers = self.state.gathering.is_some()
                    && self.state.queue.queued() < bounds.config.batch.into();
                let is_sound = self.is_to_come(until) && (self.now < quiet || gathers);
                self.expect(Rule::Wait, is_sound);
            }
            Next::Again => self.backing_off.retain(|waiting| {
                // One that waits gives up its turn when the drain's time is over, or will be before
                // anything goes out.
                let is_known = |known: &Retrying| Some(&known.run.first) == waiting.ids.first();
                self.state.retrying.iter().any(is_known)
                    || self
                        .state
                        .deadline()
                        .is_none_or(|deadline| self.now < deadline && quiet < deadline)
            }),
            Next::Done => {
                // Without one, an event that comes back would find no worker but its own.
                self.idle -= usize::from(!self.is_closed());
                let is_ending = matches!(self.state.phase, Phase::Closing | Phase::Closed);
                let is_empty = self.state.queue.queued() == 0 && self.backing_off.is_empty();
                self.expect(Rule::Wait, is_ending && is_empty);
            }
        }
    }

    /// The events that were taken from the queue: the oldest, with `first` in front.
    fn taken(&mut self, bounds: &Bounds, first: u64, is_probe: bool) -> Vec<u64> {
        let after = self.state.queue.entries();
        let mut waiting = self.entries.iter().filter(|(_, leased)| !leased).map(|(id, _)| *id);
        let ids: Vec<_> = waiting.clone().filter(|id| after.contains(&(*id, true))).collect();
        let is_free = |id: &u64| self.suspects.iter().all(|(suspect, ..)| suspect != id);
        let is_right = if is_probe {
            let oldest = waiting.clone().next();
            let other = waiting.find(is_free).filter(|_| oldest == Some(self.last_failed));
            let expected = other.or(oldest);
            let passed = self.suspects.iter().map(|(id, ..)| *id).filter(|id| *id < first);
            self.overtaken.extend(passed);
            self.overtaken.sort_unstable();
            self.overtaken.dedup();
            expected == Some(first) && ids == [first]
        } else {
            let are_oldest = waiting.by_ref().take(ids.len()).eq(ids.iter().copied());
            are_oldest && ids.len() <= bounds.config.batch.into() && ids.first() == Some(&first)
        };
        self.expect(Rule::Order, is_right);
        ids
    }

    /// A time to wait for.
    fn is_to_come(&self, until: Instant) -> bool {
        until > self.now && self.state.deadline().is_none_or(|end| until <= end)
    }

    /// A worker gives back what it has, without an end.
    fn give_back(&mut self, place: usize) {
        self.state.release(&mut self.hands[place].delivery);
        self.let_go(place);
    }

    /// A round of an event failed; whether it is given up, since others were delivered after two such rounds.
    fn is_poison(&mut self, place: usize) -> bool {
        let Some(id) = self.hands[place].ids.first().copied() else { return false };
        self.last_failed = id;
        let place = self.suspects.iter().position(|(known, ..)| *known == id);
        let Some(place) = place else {
            self.suspects.push((id, 0, false));
            return false;
        };
        let (_, strikes, is_up) = &mut self.suspects[place];
        *strikes += u8::from(*is_up);
        *is_up = false;
        *strikes == 2
    }

    fn let_go(&mut self, place: usize) -> Hand {
        self.idle += 1;
        self.hands.remove(place)
    }

    /// An attempt began.
    fn begun(&mut self, bounds: &Bounds, place: usize) {
        let hand = &mut self.hands[place];
        hand.at_once += 1;
        let at_once = hand.at_once;
        let (failed, is_probe) = (hand.failed, hand.delivery.is_probe());
        let is_current = hand.delivery.endpoint_epoch == self.state.endpoint_epoch;
        let most = bounds.config.attempts();
        self.expect(Rule::Attempts, failed < most && at_once <= most);
        let may_go = match self.stats().breaker {
            BreakerState::Closed => !is_probe,
            BreakerState::HalfOpen => is_probe,
            BreakerState::Open | BreakerState::Gone => false,
        };
        self.expect(Rule::Early, may_go && is_current && self.now >= self.quiet());
        self.paced_until = self.now + bounds.config.rate.distance();
        self.expect(Rule::SlowStart, is_probe || self.sending() <= self.state.window);
    }

    fn finish(&mut self, bounds: &Bounds, place: usize, end: End) {
        let config = &bounds.config;
        let is_late = self.state.is_past_deadline(self.now);
        let ends_soon = self.state.is_past_deadline(self.now + TICK);
        let opens = self.state.stats().circuit_opens;
        let hand = &mut self.hands[place];
        let is_current = hand.delivery.endpoint_epoch == self.state.endpoint_epoch;
        let is_probe = hand.delivery.is_probe();
        let events = hand.ids.len();
        let after =
            self.state.finish(&mut hand.delivery, end.result(), self.now, Timestamp::UNIX_EPOCH);
        let asked = if is_current { end.asked() } else { Duration::ZERO };
        hand.failed += u8::from(is_current);
        let failed = hand.failed;
        let is_last = failed == config.attempts();
        if end == End::Gone && is_current {
            self.quiet_until = NEVER;
        }
        if asked > Duration::ZERO {
            self.quiet_until = self.quiet_until.max(self.now + asked);
        }
        let stats = self.state.stats();
        if stats.circuit_opens > opens && asked <= RETRY_AFTER_WAIT {
            self.quiet_until = self.quiet_until.max(self.now + config.circuit_cooldown);
        }
        let is_open = stats.breaker != BreakerState::Closed;
        let is_given_up = is_last || is_probe || asked > RETRY_AFTER_WAIT;
        let is_retryable = matches!(end, End::Failed | End::Busy(_));
        let is_split = is_last && events > 1;
        let is_poison = config.on_open == OnOpen::Hold
            && end == End::Failed
            && is_current
            && is_given_up
            && !is_split
            && !is_late
            && self.is_poison(place);
        if is_current && end == End::Delivered {
            self.suspects.iter_mut().for_each(|suspect| suspect.2 = true);
        }
        let skips = config.on_open == OnOpen::Skip;
        let is_kept = match after {
            After::Settled(Fate::Delivered) => end == End::Delivered,
            After::Settled(Fate::Rejected) => match end {
                End::Rejected => true,
                End::TooLarge | End::Invalid => events == 1,
                End::Gone => is_current && skips,
                _ => false,
            },
            After::Settled(Fate::Exhausted) => {
                is_retryable && is_current && is_given_up && !is_split && (skips || is_poison)
            }
            After::Settled(Fate::Abandoned) => is_retryable && (is_late || is_last && ends_soon),
            After::Settled(Fate::Skipped | Fate::Oversize | Fate::Dropped) => false,
            After::Returned if end == End::Gone => !(is_current && skips),
            After::Returned if matches!(end, End::TooLarge | End::Invalid) => events > 1,
            After::Returned => {
                let is_held = is_open && !(is_given_up && skips || is_poison);
                is_retryable && (!is_current || is_split || is_held)
            }
            After::Retry(_) => {
                let is_over = is_open || is_split || is_poison || is_given_up && skips;
                is_retryable && is_current && !is_over
            }
        };
        self.expect(Rule::Fate, is_kept);
        if is_open {
            self.backing_off.clear();
        }
        let hand = self.let_go(place);
        match after {
            After::Retry(at) => {
                let listed = config.schedule.and_then(|schedule| schedule.wait(failed));
                let backoff = listed.unwrap_or(TICK * (1 << (failed.max(1) - 1)));
                self.expect(Rule::Backoff, at == self.now + backoff.max(asked));
                let failed = if is_last { 0 } else { failed };
                let Hand { ids, at_once, .. } = hand;
                let place = self.backing_off.partition_point(|waiting| waiting.ids < ids);
                self.backing_off.insert(place, BackingOff { ids, at, failed, at_once });
            }
            After::Settled(Fate::Delivered) if bounds.workers == 1 => {
                let (first, last) = (hand.ids.first().copied(), hand.ids.last().copied());
                let is_overtaken = first.is_some_and(|id| self.overtaken.contains(&id));
                self.expect(Rule::Order, Some(self.last_delivered) < first || is_overtaken);
                self.last_delivered = self.last_delivered.max(last.unwrap_or_default());
            }
            _ => {}
        }
    }
}

impl End {
    const fn asked(self) -> Duration {
        match self {
            Self::Busy(ticks) => Duration::from_secs(ticks as u64 * TICK.as_secs()),
            _ => Duration::ZERO,
        }
    }

    fn result(self) -> Result<Reply, ErrorKind> {
        match self {
            Self::Delivered => Ok(Response::status(200).into()),
            Self::Rejected => Ok(Response::status(404).into()),
            Self::Invalid => Ok(Response::status(400).into()),
            Self::Gone => Ok(Response::status(410).into()),
            Self::TooLarge => Ok(Response::status(413).into()),
            Self::Failed => Err(ErrorKind::Timeout),
            Self::Busy(_) => {
                Ok(Response { status: 503, retry_after: Some(RetryAfter::Delay(self.asked())) }
                    .into())
            }
        }
    }
}
