//! What each action does, and the promises that its answer keeps or breaks.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::vec::Vec;

use super::rules::{self, Rule};
use super::world::{Action, End, Hand, Stage, World, endpoint};
use super::{Bounds, TICK};
use crate::clock::Instant;
use crate::engine::breaker::BreakerState;
use crate::engine::config::OnOpen;
use crate::engine::delivery::{After, Fate, Next, Retry};
use crate::engine::retry::RETRY_AFTER_WAIT;
use crate::engine::state::Phase;
use crate::event::{EmitError, Event, Timestamp};
use crate::http::Response;
use crate::queue::{Bound, Encoded};
use crate::transport::{ErrorKind, Reply, RetryAfter};

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
            }
            Action::Take => self.take(bounds),
            Action::Finish(place, end) => self.finish(bounds, place, end),
            Action::Cancel(place) => self.hands[place].stage = Stage::Due,
            Action::Retry(place) => self.retry(bounds, place),
            Action::Lose(place) => {
                self.losses -= 1;
                let mut hand = self.hands.remove(place);
                self.state.release(&mut hand.delivery);
                self.idle += 1;
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
            Ok(None) => matches!(self.state.phase, Phase::Disabled | Phase::Clearing { .. }),
            Err(EmitError::Full) => is_full,
            Err(EmitError::Closed) => {
                matches!(self.state.phase, Phase::Closing { .. } | Phase::Closed)
            }
            Err(EmitError::Payload(_) | EmitError::Id) => false,
        };
        self.expect(Rule::OneEnd, is_kept);
    }

    fn take(&mut self, bounds: &Bounds) {
        match self.state.next(self.now, BOUND, &mut [0; 70]) {
            Next::Attempt(delivery) => {
                self.idle -= 1;
                let after = self.state.queue.entries();
                let taken = |id| after.contains(&(id, true));
                let mut waiting =
                    self.entries.iter().filter(|(_, leased)| !leased).map(|(id, _)| *id);
                let ids: Vec<_> = waiting.clone().filter(|id| taken(*id)).collect();
                let are_oldest =
                    !ids.is_empty() && waiting.by_ref().take(ids.len()).eq(ids.iter().copied());
                let is_right = are_oldest
                    && ids.len() <= bounds.config.batch.into()
                    && ids.first() == Some(&delivery.event_id())
                    && ids.len() == delivery.events() as usize;
                self.expect(Rule::Order, is_right);
                let place = self.hands.partition_point(|hand| hand.ids < ids);
                let stage = Stage::Posting { started: self.now };
                self.hands.insert(place, Hand { delivery, ids, stage, failed: 0, at_once: 0 });
                self.begun(bounds, place);
            }
            Next::Wait(until) => self.waits(until, self.state.queue.queued() > 0),
            Next::Again => {}
            Next::Done => {
                // Without one, an event that comes back would find no worker but its own.
                self.idle -= usize::from(!self.is_closed());
                let is_ending = matches!(self.state.phase, Phase::Closing { .. } | Phase::Closed);
                self.expect(Rule::Wait, is_ending && self.state.queue.queued() == 0);
            }
        }
    }

    fn retry(&mut self, bounds: &Bounds, place: usize) {
        let hand = &mut self.hands[place];
        match self.state.retry(&mut hand.delivery, self.now) {
            Retry::Attempt => {
                hand.stage = Stage::Posting { started: self.now };
                self.begun(bounds, place);
            }
            Retry::Wait(until) => {
                hand.stage = Stage::Due;
                self.waits(until, true);
            }
            Retry::Settled(_) => self.let_go(place),
        }
    }

    fn let_go(&mut self, place: usize) {
        self.hands.remove(place);
        self.idle += 1;
    }

    /// An attempt began.
    fn begun(&mut self, bounds: &Bounds, place: usize) {
        let hand = &mut self.hands[place];
        hand.at_once += 1;
        let at_once = hand.at_once;
        let (failed, is_probe) = (hand.failed, hand.delivery.is_probe());
        let is_current = hand.delivery.endpoint_epoch == self.state.endpoint_epoch;
        let most = bounds.config.max_attempts;
        self.expect(Rule::Attempts, failed < most && at_once <= most);
        let may_go = match self.stats().breaker {
            BreakerState::Closed => !is_probe,
            BreakerState::HalfOpen => is_probe,
            BreakerState::Open => false,
        };
        self.expect(Rule::Early, may_go && is_current && self.now >= self.quiet_until);
        self.expect(Rule::SlowStart, is_probe || self.sending() <= self.state.window);
    }

    /// A worker waits: for a time to come, for an event, or for a probe that is under way.
    fn waits(&mut self, until: Option<Instant>, has_event: bool) {
        let is_sound = match until {
            Some(until) => until > self.now && self.state.deadline().is_none_or(|end| until <= end),
            None => !has_event || self.probes() == 1 || self.sending() >= self.state.window,
        };
        self.expect(Rule::Wait, is_sound);
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
        let is_last = failed == config.max_attempts;
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
        let is_kept = match after {
            After::Settled(Fate::Delivered) => end == End::Delivered,
            After::Settled(Fate::Rejected) => {
                end == End::Rejected || end == End::TooLarge && events == 1
            }
            After::Settled(Fate::Exhausted) => {
                is_retryable && is_current && is_given_up && config.on_open == OnOpen::Skip
            }
            After::Settled(Fate::Abandoned) => is_retryable && (is_late || is_last && ends_soon),
            After::Settled(Fate::Skipped | Fate::Oversize | Fate::Dropped) => false,
            After::Returned if end == End::TooLarge => events > 1,
            After::Returned => is_retryable && is_open && config.on_open == OnOpen::Hold,
            After::Retry(_) if !is_current => is_retryable,
            After::Retry(_) => is_retryable && !(is_given_up && config.on_open == OnOpen::Skip),
        };
        self.expect(Rule::Fate, is_kept);
        if let After::Retry(at) = after {
            let backoff = TICK * (1 << (failed.max(1) - 1));
            let wait = if is_current { backoff.max(asked) } else { Duration::ZERO };
            self.expect(Rule::Backoff, at == self.now + wait);
            let hand = &mut self.hands[place];
            hand.stage = Stage::BackingOff { at };
            if is_last {
                hand.failed = 0;
            }
        } else {
            if after == After::Settled(Fate::Delivered) && bounds.workers == 1 {
                let ids = &self.hands[place].ids;
                let (first, last) = (ids.first().copied(), ids.last().copied());
                self.expect(Rule::Order, Some(self.last_delivered) < first);
                self.last_delivered = last.unwrap_or_default();
            }
            self.let_go(place);
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
            Self::Rejected => Ok(Response::status(400).into()),
            Self::TooLarge => Ok(Response::status(413).into()),
            Self::Failed => Err(ErrorKind::Timeout),
            Self::Busy(_) => {
                Ok(Response { status: 503, retry_after: Some(RetryAfter::Delay(self.asked())) }
                    .into())
            }
        }
    }
}
