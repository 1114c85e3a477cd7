//! The clients of an endpoint: the one that gets its events, and those that it had before, which deliver what they have.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pilot_webhook_core::Stats;

use super::past::{add, counted};
use crate::client::{Client, Destination};

/// Of these clients at most two deliver: the oldest and the newest. So the limits of an endpoint hold for each of two, however
/// often it was replaced.
pub(super) struct Clients {
    /// Held while something is done to all of them, so that one that comes meanwhile is not missed.
    turn: Mutex<()>,
    state: Mutex<State>,
}

struct State {
    /// What those counted that have ended.
    ended: Stats,
    /// The oldest first. The last one gets the events.
    all: Vec<Client>,
    /// The endpoint or the hub ends: all deliver what they have.
    is_ending: bool,
}

impl Clients {
    pub(super) fn new(client: Client) -> Self {
        let state = State { ended: Stats::default(), all: vec![client], is_ending: false };
        Self { turn: Mutex::default(), state: Mutex::new(state) }
    }

    pub(super) fn all(&self) -> Vec<Client> {
        self.state().all.clone()
    }

    /// What those counted that have ended, and the others.
    pub(super) fn both(&self) -> (Stats, Vec<Client>) {
        let state = self.state();
        (state.ended, state.all.clone())
    }

    /// The sum of all, with the breaker and the last status of the newest.
    pub(super) fn stats(&self) -> Stats {
        let state = self.state();
        let mut sum = state.ended;
        for client in &state.all {
            let stats = client.stats();
            add(&mut sum, &stats);
            (sum.breaker, sum.last_status) = (stats.breaker, stats.last_status);
        }
        sum
    }

    /// Does something to all of them, the oldest first, and returns what it was with the newest. No client comes meanwhile.
    pub(super) fn each<R>(&self, mut change: impl FnMut(&Client) -> R) -> Option<R> {
        let _turn = self.turn();
        self.all().iter().fold(None, |_, client| Some(change(client)))
    }

    /// Another client gets the events from now on: `put` has them come to it. It is paused if the last one is. The others
    /// deliver what they have to where it delivers.
    pub(super) fn succeed<R, E>(
        &self,
        client: &Client,
        put: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, E> {
        let _turn = self.turn();
        let before = self.all();
        if before.last().is_some_and(Client::is_paused) {
            client.pause();
        }
        let done = put()?;
        if let Some(target) = client.target() {
            before.iter().for_each(|old| retarget(old, &target));
        }
        self.hold_back();
        Ok(done)
    }

    /// A part of [`succeed`](Self::succeed).
    pub(super) fn push(&self, client: Client) {
        self.state().all.push(client);
    }

    /// A client has ended.
    pub(super) fn ended(&self, client: &Client) {
        let _turn = self.turn();
        let mut state = self.state();
        if let Some(place) = state.all.iter().position(|it| it.is_same(client)) {
            let client = state.all.remove(place);
            add(&mut state.ended, &counted(&client));
        }
        drop(state);
        self.hold_back();
    }

    /// The endpoint or the hub ends: none is held back from now on.
    pub(super) fn let_go(&self) {
        let _turn = self.turn();
        self.state().is_ending = true;
        self.hold_back();
    }

    /// What stands in an outbox is delivered by the newest, so that no other one begins an attempt.
    fn hold_back(&self) {
        let state = self.state();
        let (all, is_ending) = (state.all.clone(), state.is_ending);
        drop(state);
        for (n, client) in all.iter().enumerate() {
            let is_between = (n > 0 || client.is_stored()) && n + 1 < all.len();
            client.set_held_back(is_between && !is_ending);
        }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has a client deliver what it has to another target. With an outbox its attempts under way end where they are.
fn retarget(client: &Client, target: &Destination) {
    if !client.is_stored() && client.target().as_ref() != Some(target) {
        // One that is closed has nothing.
        let _ = client.set_target(target.clone());
    }
}
