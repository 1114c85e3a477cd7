//! When something may be sent: a second, independent implementation of the breaker and `Retry-After`, from
//! the specification, that core's is compared with.

use pilot_webhook_core::{BreakerState, Config};

use super::time::{NEVER, micros};

/// A time that jitter leaves open: no sooner, and no later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Span {
    fn max(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.max(other.to) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Closed {
        failures: u16,
    },
    Open {
        until: Span,
    },
    HalfOpen {
        prober: usize,
    },
    /// The receiver is there no more.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Gate {
    threshold: u16,
    cooldown: u64,
    jitter_percent: u64,
    pub(crate) lock: Lock,
    /// Nothing may be sent before. Times are in microseconds.
    quiet_until: Span,
    /// The rate: from the beginning of an attempt to that of the next.
    distance: u64,
    paced_until: u64,
    /// Attempts that may be under way at once, and since when one more may.
    pub(crate) window: usize,
    pub(crate) free_since: u64,
    /// How often the receiver asked for quiet.
    pub(crate) asks: u32,
    pub(crate) epoch: u32,
    pub(crate) opens: u32,
    /// Since when the breaker has been closed.
    pub(crate) closed_since: u64,
}

impl Gate {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            threshold: config.circuit_threshold,
            cooldown: micros(config.circuit_cooldown),
            jitter_percent: config.backoff.jitter_percent.into(),
            lock: Lock::Closed { failures: 0 },
            quiet_until: Span::default(),
            distance: micros(config.rate.distance()),
            paced_until: 0,
            window: usize::MAX,
            free_since: 0,
            asks: 0,
            epoch: 0,
            opens: 0,
            closed_since: 0,
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        match self.lock {
            Lock::Closed { .. } => BreakerState::Closed,
            Lock::Open { .. } => BreakerState::Open,
            Lock::HalfOpen { .. } => BreakerState::HalfOpen,
            Lock::Gone => BreakerState::Gone,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.lock, Lock::Closed { .. })
    }

    /// From when on something may be sent; `None` while a probe is under way.
    pub(crate) fn admits_at(&self) -> Option<Span> {
        match self.lock {
            Lock::Closed { .. } => Some(self.quiet()),
            Lock::Open { until } => Some(self.quiet().max(until)),
            Lock::HalfOpen { .. } => None,
            Lock::Gone => Some(Span { from: NEVER, to: NEVER }),
        }
    }

    /// Nothing may be sent before, whatever the breaker says.
    pub(crate) fn quiet(&self) -> Span {
        self.quiet_until.max(Span { from: self.paced_until, to: self.paced_until })
    }

    /// When a wait is over that begins now.
    pub(crate) fn after(&self, wait: u64, now: u64) -> Span {
        Span { from: now + wait, to: now + wait + wait * self.jitter_percent / 100 }
    }

    /// Whether the attempt that begins now, beside `sending` others, may do so, and is a probe.
    pub(crate) fn begin(
        &mut self,
        worker: usize,
        sending: usize,
        now: u64,
    ) -> Result<bool, String> {
        if now < self.quiet_until.from {
            return Err(format!("the receiver asked for quiet until {:?}", self.quiet_until));
        }
        if now < self.paced_until {
            return Err(format!("the rate allows the next attempt at {}", self.paced_until));
        }
        self.paced_until = now + self.distance;
        match self.lock {
            Lock::Closed { .. } if sending >= self.window => {
                Err(format!("{sending} are under way, and no more than {} may be", self.window))
            }
            Lock::Closed { .. } => Ok(false),
            Lock::Open { until } if now >= until.from => {
                self.lock = Lock::HalfOpen { prober: worker };
                Ok(true)
            }
            Lock::Open { until } => Err(format!("the breaker is open until {until:?}")),
            Lock::HalfOpen { prober } => Err(format!("worker {prober} is probing")),
            Lock::Gone => Err("the receiver is gone".to_owned()),
        }
    }

    fn close(&mut self, now: u64) {
        self.lock = Lock::Closed { failures: 0 };
        self.closed_since = now;
    }

    fn open(&mut self, until: Span) {
        self.opens += 1;
        self.lock = Lock::Open { until };
    }

    pub(crate) fn swap(&mut self, now: u64) {
        self.epoch += 1;
        self.quiet_until = Span::default();
        self.window = usize::MAX;
        if self.is_closed() {
            self.lock = Lock::Closed { failures: 0 };
        } else {
            self.close(now);
        }
    }

    /// An attempt was answered, well (2xx) or with a rejection, beside which `sending` are under way.
    pub(crate) fn answered(&mut self, well: bool, is_probe: bool, sending: usize, now: u64) {
        let was_full = sending + 1 >= self.window;
        match self.lock {
            Lock::HalfOpen { .. } if is_probe => {
                self.close(now);
                self.window = 1;
                return;
            }
            _ if was_full => self.window = self.window.saturating_add(1),
            _ => {}
        }
        match self.lock {
            Lock::Closed { .. } if well => self.lock = Lock::Closed { failures: 0 },
            _ => {}
        }
    }

    /// The receiver said that it is there no more.
    pub(crate) fn gone(&mut self) {
        self.lock = Lock::Gone;
    }

    /// A probe failed, or an event used up its attempts.
    pub(crate) fn failed(&mut self, is_probe: bool, now: u64) {
        let until = self.after(self.cooldown, now);
        match self.lock {
            Lock::HalfOpen { .. } if is_probe => self.open(until),
            Lock::Closed { failures } if failures + 1 >= self.threshold => self.open(until),
            Lock::Closed { failures } => self.lock = Lock::Closed { failures: failures + 1 },
            // A probe that was overtaken by a `Retry-After`.
            Lock::Open { until: known } if is_probe => {
                self.lock = Lock::Open { until: known.max(until) };
            }
            _ => {}
        }
    }

    /// An attempt failed through no fault of the receiver's.
    pub(crate) fn postponed(&mut self, is_probe: bool, until: Span) {
        if is_probe && matches!(self.lock, Lock::HalfOpen { .. }) {
            self.lock = Lock::Open { until };
        }
    }

    /// The receiver asked for quiet.
    pub(crate) fn asked(&mut self, until: Span) {
        self.asks += 1;
        self.quiet_until = self.quiet_until.max(until);
    }

    /// That is long enough to open the breaker.
    pub(crate) fn tripped(&mut self, until: Span) {
        match self.lock {
            Lock::Gone => {}
            Lock::Open { until: known } => self.lock = Lock::Open { until: known.max(until) },
            _ => self.open(until),
        }
    }

    /// An attempt vanished with its worker. Was it the probe, another may be made at once.
    pub(crate) fn vanished(&mut self, worker: usize) {
        if self.lock == (Lock::HalfOpen { prober: worker }) {
            self.lock = Lock::Open { until: Span::default() };
        }
    }
}
