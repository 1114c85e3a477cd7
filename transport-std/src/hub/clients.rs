//! The clients of an endpoint: the one that gets its events, and those that it had before, which deliver what they have.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pilot_webhook_core::{BreakerState, Stats};

use super::past::{add, counted};
use crate::client::{Client, Destination};
use crate::http::Connections;

/// Of these clients at most two deliver: the oldest and the newest. So the limits of an endpoint hold for each of two, however
/// often it was replaced.
pub(super) struct Clients {
    /// Held while something is done to all of them, so that one that comes meanwhile is not missed.
    turn: Mutex<()>,
    state: Mutex<State>,
}

struct State {
    /// What those counted that have ended, and their panics.
    ended: Stats,
    connections: Connections,
    panics: u64,
    /// The oldest first. The last one gets the events.
    all: Vec<Client>,
    /// The endpoint or the hub ends: all deliver what they have.
    is_ending: bool,
}

impl Clients {
    pub(super) fn new(client: Client) -> Self {
        let state = State {
            ended: Stats::default(),
            connections: Connections::default(),
            panics: 0,
            all: vec![client],
            is_ending: false,
        };
        Self { turn: Mutex::default(), state: Mutex::new(state) }
    }

    pub(super) fn all(&self) -> Vec<Client> {
        self.state().all.clone()
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

    pub(super) fn connections(&self) -> Connections {
        let state = self.state();
        let all = state.all.iter().map(Client::connections);
        all.fold(state.connections, Connections::plus)
    }

    pub(super) fn panics(&self) -> u64 {
        let state = self.state();
        state.panics + state.all.iter().map(Client::panics).sum::<u64>()
    }

    /// Does something to all of them, the oldest first, and returns what it was with the newest. No client comes meanwhile.
    pub(super) fn each<R>(&self, mut change: impl FnMut(&Client) -> R) -> Option<R> {
        let _turn = self.turn();
        self.all().iter().fold(None, |_, client| Some(change(client)))
    }

    /// Another client gets the events from now on: `put` has them come to it. It is paused if the last one is, and gone if
    /// that is at the same target. The others deliver what they have to where it delivers.
    pub(super) fn succeed<R, E>(
        &self,
        client: &Client,
        put: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, E> {
        let _turn = self.turn();
        let before = self.all();
        if let Some(last) = before.last() {
            if last.is_paused() {
                client.pause();
            }
            let is_gone = last.stats().breaker == BreakerState::Gone;
            if let Some(target) = last.target().filter(|_| is_gone)
                && client.target().as_ref() == Some(&target)
            {
                // It is not closed yet.
                let _ = client.set_gone(target);
            }
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
            state.connections =
                state.connections.plus(Connections { open: 0, ..client.connections() });
            state.panics += client.panics();
        }
        drop(state);
        self.hold_back();
    }

    /// The endpoint or the hub ends: none is held back from now on. Returns all, which are to be
    /// [closed](Self::begin_close).
    pub(super) fn end(&self) -> Vec<Client> {
        let mut state = self.state();
        state.is_ending = true;
        state.all.clone()
    }

    /// These refuse new events, and deliver what they have.
    pub(super) fn begin_close(&self, clients: &[Client]) {
        let _turn = self.turn();
        for client in clients {
            // One that is closed while it is held back gives up what it has.
            client.set_held_back(false);
            client.begin_close();
        }
    }

    /// The endpoint was removed, and is added again: this client gets its events.
    pub(super) fn come_back(&self, client: Client) {
        let mut state = self.state();
        state.is_ending = false;
        state.all.push(client);
    }

    /// The second part of [`come_back`](Self::come_back).
    pub(super) fn hold_back_now(&self) {
        let _turn = self.turn();
        self.hold_back();
    }

    /// What stands in an outbox is delivered by the newest, so that no other one begins an attempt. One without an outbox that
    /// is closed has little time left for what it has.
    fn hold_back(&self) {
        let state = self.state();
        let (all, is_ending) = (state.all.clone(), state.is_ending);
        drop(state);
        for (n, client) in all.iter().enumerate() {
            let is_newest = n + 1 == all.len();
            let may_wait = client.is_stored() || (n > 0 && !client.is_closing());
            client.set_held_back(may_wait && !is_newest && !is_ending);
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
