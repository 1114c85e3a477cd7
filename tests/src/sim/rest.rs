//! What must be true at rest, when no task can run and time is about to jump. A task that could go on at
//! this point was not woken when it should have been.

use super::ledger::{Held, Ledger, Phase, Step};
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

    /// Notes since when a free worker waits for a batch to fill.
    fn gathers(&mut self, now: u64) {
        let gathers = !self.config.batch_delay.is_zero()
            && self.phase == Phase::Active
            && self.gate.is_closed()
            && self.queued() > 0
            && self.idle().is_some_and(|idle| !self.is_full_batch(self.hands[idle].buffer));
        self.gathers_since = gathers.then(|| self.gathers_since.unwrap_or(now));
    }

    /// An event could go out and a worker is free.
    fn idle_worker(&self, now: u64) -> Option<String> {
        let idle = self.idle()?;
        if self.sending() >= self.gate.window {
            return None;
        }
        let at = self.gate.admits_at()?.to.max(self.gate.free_since);
        let ripe = self.gathers_since.map_or(0, |since| since + micros(self.config.batch_delay));
        let is_late = self.queued() > 0 && now > at.max(ripe) + self.grain;
        is_late.then(|| format!("worker {idle} is idle, and events wait since {at}"))
    }

    /// An event in a worker's hands is due.
    fn held(&self, now: u64) -> Option<String> {
        let timeout = micros(self.config.http_timeout);
        let is_full = self.sending() >= self.gate.window;
        let free_at = self.gate.admits_at().filter(|_| !is_full);
        let free_at = free_at.map(|at| at.to.max(self.gate.free_since));
        self.hands.iter().find_map(|hand| {
            let id = hand.ids.first()?;
            let Held { worker, step, .. } = self.live.get(id)?.held()?;
            let due = match step {
                Step::Sending { epoch, .. } if epoch != self.gate.epoch => 0,
                Step::Sending { since, .. } => {
                    (since + timeout).min(self.deadline().unwrap_or(u64::MAX))
                }
                Step::Waiting { earliest, latest, epoch, .. } => {
                    let is_cut = self.deadline().is_some_and(|deadline| earliest >= deadline);
                    let is_due = is_cut || epoch != self.gate.epoch;
                    if is_due { 0 } else { latest }.max(free_at?)
                }
            };
            (now > due.saturating_add(self.grain))
                .then(|| format!("worker {worker}, event {id}: {step:?} is over since {due}"))
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
