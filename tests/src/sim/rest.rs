//! What must be true at rest, when no task can run and time is about to jump. A task that could go on at
//! this point was not woken when it should have been.

use super::ledger::{Ledger, Phase, Waiting};
use super::time::micros;

impl Ledger {
    /// `restarts` says that a worker is about to be started.
    pub(crate) fn at_rest(&mut self, now: u64, restarts: bool) {
        self.gathers(now);
        let late = self.idle_worker(now).or_else(|| self.held(now)).or_else(|| self.waiter());
        if let Some(late) = late {
            self.fail("no wake-up is lost", late);
        }
        if let Some(deadline) = self.deadline()
            && now > deadline + self.grain
            && !restarts
        {
            self.fail("a drain ends by its deadline", format!("{:?} {:?}", self.phase, self.live));
        }
    }

    fn idle(&self) -> Option<usize> {
        self.hands.iter().position(|hand| hand.is_alive && hand.ids.is_empty())
    }

    /// Notes since when a worker is free for a batch. One that waits for the receiver's quiet to
    /// end, so that an attempt that is due can be made, is not free.
    fn gathers(&mut self, now: u64) {
        let is_quiet = !self.retrying.is_empty() && now < self.gate.quiet().to;
        let gathers = !self.config.batch_delay.is_zero()
            && self.phase == Phase::Active
            && self.gate.is_closed()
            && self.has_place()
            && !is_quiet
            && self.queued() > 0
            && self.idle().is_some();
        self.gathers_since = gathers.then(|| self.gathers_since.unwrap_or(now));
    }

    /// An event could go out and a worker is free.
    fn idle_worker(&self, now: u64) -> Option<String> {
        let idle = self.idle()?;
        let at = self.gate.admits_at()?.to.max(self.gate.free_since);
        let since = self.gathers_since.filter(|_| !self.is_full_batch(self.hands[idle].buffer));
        let ripe = since.map_or(0, |since| since + micros(self.config.batch_delay));
        let may_take = self.has_place() || !self.gate.is_closed();
        let is_late = self.queued() > 0 && may_take && now > at.max(ripe) + self.grain;
        let is_overdue = |waiting: &&Waiting| {
            let is_cut = self.cuts_at().is_some_and(|deadline| waiting.earliest >= deadline);
            let due = if is_cut { 0 } else { waiting.latest };
            now > due.max(at) + self.grain && self.sending() < self.gate.window
        };
        // A drain that cuts no wait does not wait for it either.
        let is_kept = |waiting: &&Waiting| {
            let deadline = self.deadline().filter(|_| self.cuts_at().is_none());
            deadline.is_some_and(|deadline| waiting.earliest >= deadline)
        };
        if let Some(waiting) = self.retrying.iter().find(is_kept) {
            return Some(format!("worker {idle} is idle, and {waiting:?} is not left"));
        }
        match self.retrying.iter().find(is_overdue) {
            Some(waiting) => Some(format!("worker {idle} is idle, and {waiting:?} is due")),
            None => is_late.then(|| format!("worker {idle} is idle, and events wait since {at}")),
        }
    }

    /// An attempt has lasted too long.
    fn held(&self, now: u64) -> Option<String> {
        let timeout = micros(self.config.http_timeout);
        self.hands.iter().find_map(|hand| {
            let sending = hand.sending?;
            let limit = (sending.since + timeout).min(self.deadline().unwrap_or(u64::MAX));
            let due = if sending.epoch == self.gate.epoch { limit } else { 0 };
            (now > due.saturating_add(self.grain))
                .then(|| format!("events {:?}: {sending:?} is over since {due}", hand.ids))
        })
    }

    /// Someone waits for what has come.
    fn waiter(&self) -> Option<String> {
        let may_go = |tail: &&String| {
            let fits = self.fits(&self.body(tail)) && self.is_half_empty();
            self.phase != Phase::Active || fits
        };
        if let Some(tail) = self.waiting.values().find(may_go) {
            return Some(format!("there is room for {tail}"));
        }
        if self.drained_waiters > 0 && self.live.is_empty() {
            return Some("the queue is drained".into());
        }
        (self.closed_waiters > 0 && self.phase == Phase::Closed).then(|| "it is closed".into())
    }
}
