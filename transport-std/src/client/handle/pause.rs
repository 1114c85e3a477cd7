//! The methods of a client that stop it for a while.

use pilot_webhook_core::{Clock as _, Rate};

use super::Client;
use crate::client::worker::{Shared, Target};

impl<To: Target> Client<To> {
    /// Begins no attempt from now on, until it is [resumed](Self::resume); one that is under way goes on. Events wait,
    /// those between two attempts and those behind an open breaker, too; when the queue is full, as
    /// [`OnFull`](crate::OnFull) says. Another target changes nothing about it. A client that is closed while it is
    /// paused abandons at once what it has; with an outbox that waits for the next start.
    pub fn pause(&self) {
        self.handle.shared.set_paused(true);
    }

    /// Goes on where it was paused. What a receiver asked for with `Retry-After`, and a breaker's cooldown, have passed
    /// meanwhile.
    pub fn resume(&self) {
        self.handle.shared.set_paused(false);
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.handle.shared.pausing.is_paused()
    }

    /// Completes when it is not paused, or is closed.
    pub(crate) async fn resumed(&self) {
        let pausing = &self.handle.shared.pausing;
        pausing.until(|is_paused| !is_paused || self.is_closing()).await;
    }

    /// Begins no attempt from now on, or does again, whatever [`pause`](Self::pause) says: for the hub, whose endpoint has
    /// another client that delivers.
    pub(crate) fn set_held_back(&self, is_held_back: bool) {
        let shared = &self.handle.shared;
        let set = |rate| shared.dispatcher.set_rate(rate, shared.clock.now());
        shared.pausing.set_held_back(is_held_back, set);
    }
}

impl<To: Target> Shared<To> {
    fn set_paused(&self, is_paused: bool) {
        self.pausing.set_paused(is_paused, |rate| self.dispatcher.set_rate(rate, self.clock.now()));
    }

    /// Another rate than that of the options.
    pub(super) fn set_rate(&self, rate: Rate) {
        self.pausing.set_rate(rate, |rate| self.dispatcher.set_rate(rate, self.clock.now()));
    }
}
