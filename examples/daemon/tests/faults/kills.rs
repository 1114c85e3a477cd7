//! Death at each step.

use std::collections::BTreeMap;

use crate::shim::{self, Fault, What};
use crate::source::{Source, Story};

/// What is a point of death in each story.
const AT_LEAST: [&str; 4] =
    ["write events.db-wal", "sync events.db-wal", "write socket", "write events.db"];

/// Lives once for each call that changes anything, up to the life that nothing ends, and dies at that call.
fn dies_at_each_call(source: Source) {
    let points = dies_at(1.., source, What::Kill);
    if shim::is_there() {
        AT_LEAST.iter().for_each(|name| assert!(points.contains_key(*name), "{name}: {points:#?}"));
    }
}

/// Lives once for each of these calls; returns how often it died at which kind.
fn dies_at(calls: impl Iterator<Item = u64>, source: Source, what: What) -> BTreeMap<String, u32> {
    let mut points = BTreeMap::<String, u32>::new();
    if !shim::is_there() {
        return points;
    }
    for at in calls {
        let mut story = Story::new(source);
        let ended = story.live(Fault { at, what });
        let log = story.place.take_log();
        let name = log.last().cloned().unwrap_or_default();
        let words = format!("{source:?}, {what:?} at call {at}, {name}");
        if !ended.is_killed() {
            let is_whole = matches!(ended.status.code(), Some(0 | 3)) && (log.len() as u64) < at;
            assert!(is_whole, "{words}: {} {}", ended.status, ended.stderr);
            break;
        }
        *points.entry(name).or_default() += 1;
        story.settle(&words);
    }
    println!("{source:?}, {what:?}: {points:#?}");
    points
}

#[test]
fn a_pipe_at_each_call() {
    dies_at_each_call(Source::Pipe);
}

#[test]
fn a_pipe_within_each_call() {
    dies_at(shim::some_calls(), Source::Pipe, What::Tear);
}

#[test]
fn a_client_at_each_call() {
    dies_at_each_call(Source::Client);
}

#[test]
fn a_file_that_is_followed_at_each_call() {
    dies_at_each_call(Source::Follow);
}

#[test]
fn what_is_posted_at_each_call() {
    dies_at_each_call(Source::Ingress);
}

#[test]
fn what_is_posted_within_each_call() {
    dies_at(shim::some_calls(), Source::Ingress, What::Tear);
}

#[test]
fn a_replay_at_each_call() {
    dies_at_each_call(Source::Replay);
}
