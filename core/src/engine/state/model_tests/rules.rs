//! The promises that a step can break.

use std::vec::Vec;

use super::Bounds;
use super::world::{Action, World};
use crate::engine::breaker::BreakerState;
use crate::engine::config::{OnFull, OnOpen};
use crate::engine::delivery::Fate;
use crate::engine::stats::Stats;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rule {
    /// Every event is in exactly one counter: `Stats::is_balanced`.
    Law,
    /// Ids ascend from the queue's head to its end, and no more are queued than it has room for.
    Queue,
    /// Each leased event is in one worker's hands or waits for its next attempt, and no other is.
    Lease,
    /// There are never two probes.
    Probes,
    /// Attempts under way are counted, and after a probe that ended well there are no more of them than
    /// have ended well since, and one.
    SlowStart,
    /// Once closed, nothing is queued or in flight.
    Closed,
    /// An event is counted once, when it leaves the queue, and never comes back.
    OneEnd,
    /// The counter it is in is the right one.
    Fate,
    /// Each event that ends in nobody's hands is told, with its fate, and no other is.
    Told,
    /// Nothing is sent while the breaker is open, but a probe, or before a `Retry-After` is over.
    Early,
    /// No more attempts than allowed, in all or with `hold` in a round, and no more than that at
    /// once: a drain cuts waits.
    Attempts,
    /// The wait between attempts is exact.
    Backoff,
    /// First in, first out, and no batch of more than allowed.
    Order,
    /// A worker that waits does so for a time to come, a probe that is under way, or an event.
    Wait,
}

/// Which promise a state breaks, by what it is.
pub(super) fn broken_state(world: &World) -> Option<Rule> {
    let leased = world.entries.iter().filter(|(_, leased)| *leased).map(|(id, _)| *id);
    let in_hands = world.hands.iter().flat_map(|hand| hand.ids.iter().copied());
    let backing_off = world.backing_off.iter().flat_map(|waiting| waiting.ids.iter().copied());
    let mut begun: Vec<_> = in_hands.chain(backing_off).collect();
    begun.sort_unstable();
    let ascends = world.entries.is_sorted_by(|(a, _), (b, _)| a < b);
    let is_empty = world.entries.is_empty() && begun.is_empty();
    if !world.stats().is_balanced() {
        Some(Rule::Law)
    } else if !ascends || world.entries.len() > world.state.config().capacity as usize {
        Some(Rule::Queue)
    } else if !leased.eq(begun) {
        Some(Rule::Lease)
    } else if world.probes() > 1 {
        Some(Rule::Probes)
    } else if world.sending() != world.state.sending {
        Some(Rule::SlowStart)
    } else if !world.waits_as_told() {
        Some(Rule::Backoff)
    } else if world.is_closed() && !is_empty {
        Some(Rule::Closed)
    } else {
        None
    }
}

/// Which promise a step broke, by what it did to the queue and the counters.
pub(super) fn broken_step(
    bounds: &Bounds,
    before: &World,
    after: &World,
    action: Action,
) -> Option<Rule> {
    let (old, new) = (before.stats(), after.stats());
    let is_in = |world: &World, id| world.entries.iter().any(|(known, _)| *known == id);
    let left: Vec<_> = before.entries.iter().filter(|(id, _)| !is_in(after, *id)).collect();
    let is_old = |id| id <= old.emitted;
    let came_back = after.entries.iter().any(|(id, _)| is_old(*id) && !is_in(before, *id));
    // An event that was refused never was in.
    let refused = (old.emitted + 1..=new.emitted).filter(|id| !is_in(after, *id)).count();
    let counted = ended(&new) - ended(&old);
    let in_no_hands = left.iter().filter(|(_, leased)| !leased).map(|(id, _)| *id);
    let ids = (old.emitted + 1..=new.emitted).filter(|id| !is_in(after, *id));
    if !after.told.iter().map(|(id, _)| *id).eq(in_no_hands.chain(ids)) {
        return Some(Rule::Told);
    }
    let told = |fate| after.told.iter().filter(|(_, told)| *told == fate).count() as u64;
    if told(Fate::Dropped) != new.dropped - old.dropped {
        return Some(Rule::Told);
    }
    if came_back || counted != (left.len() + refused) as u64 {
        return Some(Rule::OneEnd);
    }

    let all_leased = before.entries.iter().all(|(_, leased)| *leased);
    let may_refuse = bounds.config.on_full == OnFull::DropNewest || all_leased;
    let may_drop = action == Action::Emit && left.iter().all(|(_, leased)| !leased);
    let may_skip = bounds.config.on_open == OnOpen::Skip
        && matches!(old.breaker, BreakerState::Open | BreakerState::Gone)
        && before.now < before.quiet_until;
    // At the deadline, or when nothing goes out before it. What an attempt's end may abandon is
    // told where it ends.
    let may_abandon = before.state.deadline().is_some_and(|deadline| {
        let is_end = matches!(action, Action::Finish(..));
        is_end || before.now >= deadline || before.quiet() >= deadline
    });
    let is_right = (refused == 0 || may_refuse)
        && (new.dropped == old.dropped || may_drop)
        && (new.skipped == old.skipped || may_skip)
        && (new.abandoned == old.abandoned || may_abandon)
        && new.oversize == old.oversize;
    (!is_right).then_some(Rule::Fate)
}

/// Events whose story is over.
const fn ended(stats: &Stats) -> u64 {
    stats.delivered
        + stats.rejected
        + stats.exhausted
        + stats.skipped
        + stats.dropped
        + stats.oversize
        + stats.abandoned
}
