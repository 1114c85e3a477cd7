//! The circuit breaker: a receiver that keeps failing is left alone for a while.

use core::time::Duration;

use serde::Serialize;

use crate::clock::Instant;

/// Consecutive failures that open the breaker (`CircuitOpenThreshold` of pilot's Go plugin).
pub const CIRCUIT_OPEN_THRESHOLD: u16 = 5;
/// How long it stays open before a probe (`CircuitCooldown` of pilot's Go plugin).
pub const CIRCUIT_COOLDOWN: Duration = Duration::from_secs(30);

/// The end of time.
const NEVER: Instant = Instant::from_micros(u64::MAX);

/// The breaker's states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Events go out.
    #[default]
    Closed,
    /// Nothing is sent.
    Open,
    /// One probe is under way.
    HalfOpen,
    /// The receiver said that it is there no more. Nothing is sent until an endpoint is set, be it the same.
    Gone,
}

/// Leave to send. It is handed back with the attempt's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub enum Permit {
    /// The breaker is closed.
    Normal,
    /// This is the one probe, of one attempt.
    Probe,
}

/// The breaker's answer to "may I send?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Allowed(Permit),
    /// Not before this time.
    Until(Instant),
    /// Not before the probe that is under way has ended.
    Probing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
enum State {
    Closed { failures: u16 },
    Open { until: Instant },
    HalfOpen,
    Gone,
}

/// The state machine. It reads no clock: `now` is handed in.
///
/// Before each attempt [`admit`](Self::admit); after it, with the permit, one of
/// [`success`](Self::success), [`answered`](Self::answered), [`failure`](Self::failure) (an event
/// used up its attempts, or the probe failed), [`trip`](Self::trip) or [`abort`](Self::abort).
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq, Eq, Hash))]
pub struct Breaker {
    threshold: u16,
    cooldown: Duration,
    state: State,
    opens: u32,
}

impl Breaker {
    /// A closed breaker that opens after `threshold` failures in a row (0 counts as 1).
    #[must_use]
    pub const fn new(threshold: u16, cooldown: Duration) -> Self {
        Self { threshold, cooldown, state: State::Closed { failures: 0 }, opens: 0 }
    }

    /// The state now. An open breaker whose cooldown is over stays open until the next `admit`.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
            State::Gone => BreakerState::Gone,
        }
    }

    /// How often it opened, probes that failed included.
    #[must_use]
    pub const fn opens(&self) -> u32 {
        self.opens
    }

    /// Closed and as new, for a new endpoint. The number of opens goes on.
    pub const fn reset(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// Asks for leave to send. Once the cooldown is over, one caller gets to probe.
    pub fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Allowed(Permit::Normal),
            State::Open { until } if now < until => Admission::Until(until),
            State::Open { .. } => {
                self.state = State::HalfOpen;
                Admission::Allowed(Permit::Probe)
            }
            State::HalfOpen => Admission::Probing,
            State::Gone => Admission::Until(NEVER),
        }
    }

    /// An event was delivered. A normal one that was under way since before the breaker opened
    /// does not close it: the probe decides.
    pub fn success(&mut self, permit: Permit) {
        match (permit, self.state) {
            (Permit::Probe, State::HalfOpen) | (Permit::Normal, State::Closed { .. }) => {
                self.reset();
            }
            _ => {}
        }
    }

    /// The receiver rejected an event: it is there. That ends a probe well, and otherwise leaves
    /// the count of failures as it is.
    pub fn answered(&mut self, permit: Permit) {
        if permit == Permit::Probe && self.state == State::HalfOpen {
            self.reset();
        }
    }

    /// An event used up its attempts, or the probe failed. A cooldown that follows begins at `now`; one
    /// that is to end later, for jitter, is told a later time.
    pub fn failure(&mut self, permit: Permit, now: Instant) {
        let opens = match (permit, self.state) {
            (Permit::Normal, State::Closed { failures }) => {
                let failures = failures.saturating_add(1);
                self.state = State::Closed { failures };
                failures >= self.threshold
            }
            // A normal one was under way since before the breaker opened: it is counted already.
            (permit, _) => permit == Permit::Probe,
        };
        if opens {
            // A `Retry-After` that another event got meanwhile has the last word.
            self.trip(now + self.cooldown);
        }
    }

    /// The receiver said not to come back before `until`. A breaker that is open stays so for the
    /// longer of the two times. A probe that is under way for another event no longer decides.
    pub fn trip(&mut self, until: Instant) {
        let until = match self.state {
            State::Gone => return,
            State::Open { until: earlier } => earlier.max(until),
            State::Closed { .. } | State::HalfOpen => {
                self.opens = self.opens.saturating_add(1);
                until
            }
        };
        self.state = State::Open { until };
    }

    /// The receiver said that it is there no more: nothing goes out until a [`reset`](Self::reset).
    pub const fn stop(&mut self) {
        self.state = State::Gone;
    }

    /// The attempt was given up without an end. A probe may be made again at once.
    pub fn abort(&mut self, permit: Permit) {
        self.postpone(permit, Instant::default());
    }

    /// The attempt failed through no fault of the receiver. A probe is made again, at `until`.
    pub fn postpone(&mut self, permit: Permit, until: Instant) {
        if permit == Permit::Probe && self.state == State::HalfOpen {
            self.state = State::Open { until };
        }
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
