//! What clients counted, as it is added up.

use pilot_webhook_core::Stats;

use crate::client::Client;

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
