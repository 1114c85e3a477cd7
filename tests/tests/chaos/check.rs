//! What must be true in the end.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::daemon::count;
use crate::emitter::Emitted;
use crate::receiver::Arrival;
use crate::world::Seen;

/// By how much the resident memory may grow, in KiB.
const RSS_MAX: u64 = 2 * 1_024;
/// How many more descriptors may be open at a time: a command's connection, a receiver's, and the
/// file and folder in which the URL is saved, each with one that is just being closed.
const FDS_MAX: usize = 8;
/// How many more may be open in the end: a command's connection, and a receiver's.
const FDS_LEFT: usize = 2;

/// How far a probe may be ahead: one event further for each probe of an outage. Arbitrary: more than there are in
/// the longest.
const PROBES_MAX: u64 = 16;

/// What arrived, taken together.
pub(crate) struct Arrived {
    /// Requests.
    pub(crate) all: usize,
    /// Events.
    pub(crate) ids: BTreeSet<u64>,
    /// Events that were answered well.
    pub(crate) delivered: BTreeSet<u64>,
    /// Events that were answered with a 3xx or 4xx that is final.
    pub(crate) rejected: BTreeSet<u64>,
    /// How often an event was answered well once more.
    pub(crate) again: usize,
}

impl Arrived {
    /// Takes together what two receivers got, each in order if there is one.
    pub(crate) fn at(receivers: &[Vec<Arrival>; 2], is_ordered: bool) -> Result<Self, String> {
        for arrivals in receivers.iter().filter(|_| is_ordered) {
            // A repeated attempt begins with the same event. A probe may be of one that comes after those that
            // may be why the receiver failed, which are tried again after it.
            let is_back = |pair: &&[Arrival]| pair[0].ids[0] > pair[1].ids[0] + PROBES_MAX;
            if let Some(pair) = arrivals.windows(2).find(is_back) {
                return Err(format!("out of order: {pair:?}"));
            }
            if let Some(odd) = arrivals.iter().find(|arrival| !arrival.ids.is_sorted()) {
                return Err(format!("out of order within a batch: {odd:?}"));
            }
        }
        let all = receivers.concat();
        let of = |is: fn(u16) -> bool| {
            all.iter().filter(move |arrival| is(arrival.status)).flat_map(|arrival| &arrival.ids)
        };
        let is_final = |status| matches!(status, 300..=499) && ![408, 425, 429].contains(&status);
        let delivered: BTreeSet<u64> = of(|status| status == 204).copied().collect();
        Ok(Self {
            all: all.len(),
            ids: of(|_| true).copied().collect(),
            again: of(|status| status == 204).count() - delivered.len(),
            rejected: of(is_final).copied().collect(),
            delivered,
        })
    }
}

/// Nothing is lost.
pub(crate) fn held(stats: &Value, emitted: Emitted, arrived: &Arrived) -> Result<(), String> {
    let events = emitted.events;
    let lost: Vec<_> = (1..=events).filter(|id| !arrived.delivered.contains(id)).collect();
    let first = &lost[..lost.len().min(20)];
    expect(&format!("{} lost: {first:?} and on", lost.len()), lost.is_empty())?;
    expect("ids that nobody gave", arrived.ids.last().is_some_and(|last| *last == events))?;
    for (key, expected) in [("emitted", events), ("delivered", events), ("bad_lines", 0)] {
        expect(&format!("{key} is not {expected}: {stats}"), count(stats, key) == expected)?;
    }
    expect("arrivals without an attempt", arrived.all as u64 <= count(stats, "attempts"))
}

/// Everything is in a named counter, and what arrived agrees with it.
pub(crate) fn counted(stats: &Value, emitted: Emitted, arrived: &Arrived) -> Result<(), String> {
    let of = |key| count(stats, key);
    for (key, expected) in [
        ("emitted", emitted.events),
        ("bad_lines", emitted.bad),
        ("queued", 0),
        ("in_flight", 0),
        ("abandoned", 0),
    ] {
        expect(&format!("{key} is not {expected}: {stats}"), of(key) == expected)?;
    }
    // While the queue is full, nobody looks how long an event is.
    expect("too many are too long", of("oversize") <= emitted.oversize)?;
    // An answer that was lost on its way makes an event that arrived one that failed.
    let given_up = of("exhausted") + of("skipped");
    let delivered = arrived.delivered.len() as u64;
    expect("fewer arrived than were delivered", of("delivered") <= delivered)?;
    expect("more arrived than can be", delivered <= of("delivered") + given_up)?;
    expect("rejected by nobody", of("rejected") <= arrived.rejected.len() as u64)?;
    let missing = emitted.events - arrived.ids.len() as u64;
    let counted = given_up + of("dropped") + of("oversize");
    expect(&format!("{missing} are missing, {counted} counted"), missing <= counted)?;
    expect("arrivals without an attempt", arrived.all as u64 <= of("attempts"))?;
    // Or it was no chaos.
    for key in ["delivered", "rejected", "exhausted", "skipped", "dropped", "oversize"] {
        expect(&format!("no event was {key}: {stats}"), of(key) > 0)?;
    }
    Ok(())
}

/// The daemon takes no more than before.
pub(crate) fn flat(seen: &Seen) -> Result<(), String> {
    let grown = seen.most.rss.saturating_sub(seen.before.rss);
    expect(&format!("memory grew by {grown} KiB: {seen:?}"), grown <= RSS_MAX)?;
    expect(&format!("descriptors: {seen:?}"), seen.most.fds <= seen.before.fds + FDS_MAX)?;
    expect(&format!("descriptors left: {seen:?}"), seen.after.fds <= seen.before.fds + FDS_LEFT)
}

fn expect(what: &str, is_so: bool) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(what.to_owned()) }
}
