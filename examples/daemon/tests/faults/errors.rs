//! A disk that fails at each step, once or for a while: the process goes on, or says why it cannot.

use crate::place::EVENTS;
use crate::shim::{self, Fault, What};
use crate::source::{Source, Story};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// How many calls fail of a disk that fails for a while. Arbitrary: several tries of a commit.
const SEVERAL: u32 = 5;

/// Lives once for each call that changes a file, with a disk that fails from there on `times` times.
fn fails_at_each_call(source: Source, error: i32, times: u32) {
    if !shim::is_there() {
        return;
    }
    let (mut lives, mut refused) = (0_usize, 0);
    for at in shim::some_calls() {
        let what = What::Fail { error, times };
        let mut story = Story::new(source);
        let ended = story.live(Fault { at, what });
        let log = story.place.take_log();
        if (log.len() as u64) < at {
            break;
        }
        lives += 1;
        let words = format!("{source:?}, {what:?} at call {at}, {}", log.last().unwrap());
        let code = ended.status.code();
        let accepted = match code {
            // It may also end before the file is one.
            Some(1 | 2) => {
                refused += 1;
                let reason = ended.stderr.lines().last().unwrap_or_default();
                assert!(reason.starts_with("pilot-webhookd: outbox "), "{words}: {}", ended.stderr);
                story.settle(&words)
            }
            _ => {
                assert!(matches!(code, Some(0 | 3)), "{words}: {} {}", ended.status, ended.stderr);
                let accepted = story.settle(&words);
                // Nothing was said to be lost.
                assert_eq!(accepted, EVENTS, "{words}: {}", ended.stderr);
                accepted
            }
        };
        assert!(accepted <= EVENTS, "{words}");
    }
    println!("{source:?}, error {error}, {times} times: {lives} lives, {refused} ended early");
    assert!(lives > 10, "{lives}");
}

#[test]
fn a_pipe_and_a_disk_that_fails_once() {
    fails_at_each_call(Source::Pipe, EIO, 1);
}

#[test]
fn a_pipe_and_a_disk_that_is_full_for_a_while() {
    fails_at_each_call(Source::Pipe, ENOSPC, SEVERAL);
}

#[test]
fn what_is_posted_and_a_disk_that_is_full_once() {
    fails_at_each_call(Source::Ingress, ENOSPC, 1);
}

#[test]
fn what_is_posted_and_a_disk_that_fails_for_a_while() {
    fails_at_each_call(Source::Ingress, EIO, SEVERAL);
}

#[test]
fn a_replay_and_a_disk_that_fails_once() {
    fails_at_each_call(Source::Replay, EIO, 1);
}
