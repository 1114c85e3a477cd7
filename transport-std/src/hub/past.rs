//! The endpoints that were removed: what their clients counted, and the clients that still deliver what they have.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pilot_webhook_core::Stats;

use super::clients::Clients;
use crate::client::Client;

#[derive(Default)]
pub(super) struct Past(Mutex<State>);

#[derive(Default)]
struct State {
    /// What those counted that have ended.
    ended: Stats,
    /// Those that still deliver what they have.
    ending: Vec<Client>,
}

impl Past {
    /// An endpoint is removed. Returns its clients, each of which is told of when it has [ended](Self::ended).
    pub(super) fn absorb(&self, clients: &Clients) -> Vec<Client> {
        let (ended, ending) = clients.both();
        let mut state = self.state();
        add(&mut state.ended, &ended);
        state.ending.extend_from_slice(&ending);
        ending
    }

    /// A client of these has ended.
    pub(super) fn ended(&self, client: &Client) {
        let mut state = self.state();
        let before = state.ending.len();
        state.ending.retain(|it| !it.is_same(client));
        if state.ending.len() < before {
            let ended = counted(client);
            add(&mut state.ended, &ended);
        }
    }

    pub(super) fn ending(&self) -> Vec<Client> {
        self.state().ending.clone()
    }

    /// Adds what they counted to `sum`.
    pub(super) fn add_to(&self, sum: &mut Stats) {
        let state = self.state();
        add(sum, &state.ended);
        state.ending.iter().for_each(|client| add(sum, &client.stats()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a client that has ended counted. What it gave back to an outbox is for the next one to count.
pub(super) fn counted(client: &Client) -> Stats {
    let stats = client.stats();
    #[cfg(feature = "outbox")]
    if client.outbox().is_some() {
        return Stats { emitted: stats.emitted - stats.abandoned, abandoned: 0, ..stats };
    }
    stats
}

/// Adds the counters. The last status and the breaker stay those of `sum`.
pub(super) fn add(sum: &mut Stats, more: &Stats) {
    *sum = Stats {
        emitted: sum.emitted + more.emitted,
        delivered: sum.delivered + more.delivered,
        rejected: sum.rejected + more.rejected,
        exhausted: sum.exhausted + more.exhausted,
        skipped: sum.skipped + more.skipped,
        dropped: sum.dropped + more.dropped,
        oversize: sum.oversize + more.oversize,
        abandoned: sum.abandoned + more.abandoned,
        queued: sum.queued.saturating_add(more.queued),
        in_flight: sum.in_flight.saturating_add(more.in_flight),
        attempts: sum.attempts + more.attempts,
        circuit_opens: sum.circuit_opens.saturating_add(more.circuit_opens),
        last_status: sum.last_status,
        breaker: sum.breaker,
    };
}
