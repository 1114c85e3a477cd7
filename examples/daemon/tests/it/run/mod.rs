//! `pilot-webhookd run`, as others script against it: the real binary, a real receiver.

mod delivery;
mod follow;
mod format;
mod input;
mod log;
mod outbox;
mod output;
mod signal;
mod signed;
mod start;

use std::process::Output;

/// It ended with status 3 and this line. It was 0, whatever became of the events.
#[track_caller]
fn expect_undelivered(output: &Output, line: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    let expected = format!("pilot-webhookd: {line}");
    assert_eq!(stderr.lines().last(), Some(expected.as_str()), "{stderr}");
}
