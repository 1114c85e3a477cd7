//! How an endpoint is to be treated: how often it is asked, when again, and what its answers mean.

use std::fs;
use std::time::Duration;

use super::receiver::Receiver;
use crate::support;

/// So many events in a file.
fn events(directory: &tempfile::TempDir, number: usize) -> String {
    let path = directory.path().join("events");
    fs::write(&path, "{\"topic\":\"a\"}\n".repeat(number)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn no_attempt_begins_before_the_rate_lets_it() {
    let receiver = Receiver::start(|n| if n % 2 == 0 { 500 } else { 200 });
    let directory = tempfile::tempdir().unwrap();
    let file = events(&directory, 5);
    let mut command = support::daemon(&receiver.url());
    command.args(["--events", &file, "--retry-backoff", "1ms", "--max-in-flight", "4"]);
    let (stats, _) = support::run(command.args(["--rate", "20/s"]));
    assert_eq!(stats["delivered"], 5);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 10);
    let took = requests[9].at - requests[0].at;
    // The arrival of the first may be late, and none is sent early.
    assert!(took >= Duration::from_millis(400), "{took:?}");
}

#[test]
fn the_waits_of_a_schedule_are_kept_and_bound_the_attempts() {
    let receiver = Receiver::start(|_| 500);
    let directory = tempfile::tempdir().unwrap();
    let file = events(&directory, 1);
    let mut command = support::daemon(&receiver.url());
    let schedule = ["--retry-schedule", "1ms,200ms,2ms,3ms"];
    let (stats, _) = support::run(command.args(["--events", &file]).args(schedule));
    assert_eq!((&stats["exhausted"], &stats["attempts"]), (&1.into(), &5.into()));
    let requests = receiver.requests();
    assert_eq!(requests.len(), 5);
    let (second, third) = (requests[1].at, requests[2].at);
    assert!(third - second >= Duration::from_millis(150), "{:?}", third - second);
}

#[test]
fn success_is_what_the_operator_says() {
    for (set, status, place) in [
        ("200-299,409", 409, "delivered"),
        ("200-299,409", 404, "rejected"),
        ("200", 202, "rejected"),
        ("410", 410, "delivered"),
        ("302,500-599", 503, "delivered"),
    ] {
        let receiver = Receiver::start(move |_| status);
        let directory = tempfile::tempdir().unwrap();
        let file = events(&directory, 1);
        let mut command = support::daemon(&receiver.url());
        let (stats, _) = support::run(command.args(["--events", &file, "--success", set]));
        assert_eq!(stats[place], 1, "{set} {status}: {stats}");
        assert_eq!(stats["attempts"], 1);
    }
}

#[test]
fn what_makes_no_sense_exits_2_with_one_line() {
    for (option, value) in [
        ("--rate", "50"),
        ("--rate", "0/s"),
        ("--rate", "+5/s"),
        ("--rate", "-5/s"),
        ("--rate", "5/d"),
        ("--rate", "5000000000/s"),
        ("--retry-schedule", ""),
        ("--retry-schedule", "5"),
        ("--retry-schedule", "5s,,5m"),
        ("--retry-schedule", "50d"),
        ("--retry-schedule", "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s"),
        ("--success", ""),
        ("--success", "2xx"),
        ("--success", "100-199"),
    ] {
        let output = support::bare().args(["run", &format!("{option}={value}")]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{option} {value}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{option} {value}: {stderr}");
        assert!(stderr.contains(option), "{option} {value}: {stderr}");
    }
}
