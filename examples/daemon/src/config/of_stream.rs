//! What does not go with a stream as the source of events.

use super::load::Declared;
use super::problem::Problems;
use super::table::Table;
use crate::args::Run;
use crate::delivery::{Delivery, OnOpenArg};

/// A key, when it is in the way, and what is to be known then.
type Rule = (&'static str, fn(&Delivery) -> bool, &'static str);

const BODIES: &str = "it cannot be used with from: bodies are those of the stream";
const WAITS: &str = "it cannot be used with from: events wait in the stream; leave it out";

/// Of keys that are set.
const RULES: [Rule; 6] = [
    ("format", |_| true, BODIES),
    ("source", |_| true, BODIES),
    ("type_prefix", |_| true, BODIES),
    (
        "batch",
        |delivery| delivery.batch > 1,
        "it cannot be used with from: events keep their messages' ids, so each goes out alone",
    ),
    ("on_full", |delivery| !delivery.blocks(), WAITS),
    ("on_open", |delivery| matches!(delivery.on_open, OnOpenArg::Skip), WAITS),
];

/// Notes what does not go with a stream, where there is one.
pub(super) fn check(run: &Run, top: &Table, endpoints: &[Declared], problems: &mut Problems) {
    if !run.from_stream.is_given() {
        return;
    }
    if let Some(what) = run.from_stream.problem() {
        problems.add(top.line_of("from"), "from", what);
    }
    if endpoints.len() > 1 && run.store.outbox.is_some() {
        let what = "with from it goes with one endpoint: the stream keeps what each of several has not got; leave it out";
        problems.add(top.line_of("outbox"), "outbox", what);
    }
    for Declared { args, settings, .. } in endpoints {
        for (key, is_in_the_way, what) in RULES {
            if let Some(setting) = settings.get(key)
                && is_in_the_way(&args.delivery)
            {
                // One of the command line has no line.
                problems.add(setting.line.unwrap_or(1), key, what);
            }
        }
    }
}
