//! What workers do unseen, between attempts: it shows in the counters only.

use pilot_webhook_core::{BreakerState, Fate, OnOpen, Stats};

use super::{Ledger, Waiting, holds, texts};

impl Ledger {
    /// The worker's poll is over, or it begins the attempt `starting`: what it did unseen (it
    /// passed over events, abandoned them, or gave them back) shows in the counters only.
    pub(crate) fn reconcile(&mut self, worker: usize, stats: &Stats, starting: &[u64]) {
        let skipped = stats.skipped.saturating_sub(self.counts.skipped);
        let abandoned = stats.abandoned.saturating_sub(self.counts.abandoned);
        let oversize = stats.oversize.saturating_sub(self.counts.oversize);
        let is_again = self.retrying.iter().any(|waiting| waiting.ids == starting);
        let fresh = if is_again { 0 } else { starting.len() };
        let leased = stats.in_flight as usize - fresh;
        if leased < self.leased()
            && self.hands[worker].sending.is_some_and(|sending| sending.epoch != self.gate.epoch)
        {
            // A swap cancelled the attempt.
            self.give_back(worker);
        }
        let left = self.leave_late(abandoned);
        if abandoned > left {
            self.return_retrying();
        }
        while leased < self.leased() {
            // At once, if a drain cuts its wait.
            let due = |waiting: &Waiting| {
                let is_cut = self.cuts_at().is_some_and(|deadline| waiting.latest >= deadline);
                if is_cut { 0 } else { waiting.earliest }
            };
            // What the worker's buffer does not hold is no batch for it.
            let is_back = |waiting: &Waiting| {
                due(waiting) <= self.now && !self.holds_all(worker, &waiting.ids)
            };
            // Without jitter it is certain when each is due.
            let places = (0..self.retrying.len()).filter(|n| is_back(&self.retrying[*n]));
            let place = places.min_by_key(|n| {
                let waiting = &self.retrying[*n];
                (due(waiting), waiting.ids.first().copied())
            });
            let Some(place) = place else {
                return self.fail("no event goes missing", format!("worker {worker}, {stats:?}"));
            };
            let waiting = self.retrying.remove(place);
            self.lease(&waiting.ids, false);
        }
        for _ in 0..skipped {
            self.oldest_queued().into_iter().for_each(|id| self.skip(id));
        }
        for _ in left..abandoned {
            self.oldest_queued().into_iter().for_each(|id| self.abandon(id));
        }
        for _ in 0..oversize {
            // A probe passes over those under suspicion.
            let is_told = |(id, _): &(&u64, &(Option<Fate>, Option<Fate>))| {
                self.live.get(id).is_some_and(|entry| !entry.is_leased)
            };
            let told = self.fates.iter().find(is_told).map(|(id, _)| *id);
            let id = told.or_else(|| self.oldest_queued());
            id.into_iter().for_each(|id| self.is_oversize(id, worker));
        }
    }

    /// What waits for longer than a drain that cuts no wait is abandoned; where order is kept, what is behind it first.
    /// Returns how many of those that were abandoned that explains.
    fn leave_late(&mut self, abandoned: u64) -> u64 {
        let Some(deadline) = self.deadline().filter(|_| self.cuts_at().is_none()) else { return 0 };
        let is_late = |waiting: &Waiting| waiting.latest >= deadline;
        if self.now >= deadline || !self.retrying.iter().any(is_late) {
            return 0;
        }
        let mut left = 0;
        while left < abandoned
            && self.config.max_in_flight <= 1
            && let Some(id) = self.oldest_queued()
        {
            self.ends(id, Fate::Abandoned);
            self.gathers_since = None;
            self.remove(id);
            left += 1;
        }
        let is_told = |ledger: &Self, id: u64| {
            ledger.fates.get(&id).is_some_and(|told| told.1 == Some(Fate::Abandoned))
        };
        while left < abandoned {
            let mut late = self.retrying.iter().enumerate().filter(|(_, it)| is_late(it));
            let told = late.find_map(|(place, it)| {
                let id = *it.ids.first()?;
                is_told(self, id).then_some((place, id))
            });
            let Some((place, id)) = told else { break };
            self.retrying[place].ids.remove(0);
            if self.retrying[place].ids.is_empty() {
                self.retrying.remove(place);
            }
            self.ends(id, Fate::Abandoned);
            self.remove(id);
            left += 1;
        }
        left
    }

    fn holds_all(&self, worker: usize, ids: &[u64]) -> bool {
        let texts = ids.iter().map(|id| texts(&self.live[id].body)).sum();
        let events = u32::try_from(ids.len()).unwrap();
        holds(self.hands[worker].buffer, events, texts, usize::MAX)
    }

    fn skip(&mut self, id: u64) {
        self.ends(id, Fate::Skipped);
        let is_open = matches!(self.gate.state(), BreakerState::Open | BreakerState::Gone)
            && self.gate.admits_at().is_some_and(|at| self.now < at.to);
        if !is_open || self.config.on_open != OnOpen::Skip {
            self.fail("skipped only while open", format!("event {id}, {:?}", self.gate));
        }
        self.remove(id);
    }

    /// An event that was taken in turned out to be too long for the worker.
    fn is_oversize(&mut self, id: u64, worker: usize) {
        self.ends(id, Fate::Oversize);
        // It was taken for a batch; the next one has a delay of its own.
        self.gathers_since = None;
        if self.holds_all(worker, &[id]) {
            self.fail("oversize only when it is too long", format!("event {id}"));
        }
        self.remove(id);
    }

    fn abandon(&mut self, id: u64) {
        self.ends(id, Fate::Abandoned);
        // It was taken for a batch; the next one has a delay of its own.
        self.gathers_since = None;
        let is_hopeless = |deadline| {
            let opens_at = self.gate.admits_at().unwrap_or(self.gate.quiet());
            self.now >= deadline || opens_at.to >= deadline
        };
        let is_over = self.deadline().is_some_and(is_hopeless);
        if !is_over {
            self.fail("abandoned only when the time is over", format!("event {id}"));
        }
        self.remove(id);
    }
}
