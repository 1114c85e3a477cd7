//! The wall time from an SNTP server.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pilot_webhook_embassy::{Error, SntpError, TlsFailure};
use pilot_webhook_tests::time_server::TimeServer;
use pilot_webhook_tests::{Seen, Server};

use crate::node::{HOST, Image, Node};
use crate::receiver::{CaFile, answers, tls, url};

/// What a loaded machine may take between an event and the look at this host's clock.
const SLACK: Duration = Duration::from_secs(60);

fn ntp(server: &TimeServer) -> String {
    format!("ntp={HOST}:{}", server.address().port())
}

/// An event's id, and its stamp as written.
fn stamped(seen: &Seen) -> (u64, String) {
    let event: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    let stamp = event["timestamp"].as_str().unwrap().to_owned();
    (event["event_id"].as_u64().unwrap(), stamp)
}

/// An RFC 3339 stamp since 1970.
fn parsed(stamp: &str) -> Duration {
    let time: jiff::Timestamp = stamp.parse().unwrap();
    Duration::try_from(time.duration_since(jiff::Timestamp::UNIX_EPOCH)).unwrap()
}

/// The node does not know the time, and the server does not tell it at first. So it trusts no
/// certificate, holds its events, and asks again; and all of them arrive when it has been told.
async fn told_late(image: Image) {
    if !image.is_there() {
        return;
    }
    let ca = CaFile::new();
    let time = TimeServer::start();
    // Each refusal costs the server a connection, of which it sees nothing but the end.
    let server = Server::start(vec![answers(200, 10); 100], Some(tls())).await;
    let mut words = vec![url("https", &server), ca.argument(), ntp(&time)];
    for word in ["time=sntp", "events=10", "idle_ms=1", "on_open=hold", "threshold=1"] {
        words.push(word.into());
    }
    words.extend(["backoff_ms=50", "cooldown_ms=500"].map(String::from));
    let mut node = Node::start(image, &words).await;
    node.line(&format!("time: {}", SntpError::Timeout)).await;
    node.line("breaker: open").await;
    assert!(server.requests().is_empty());
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    time.speak();
    let report = node.end().await;

    let unknown = Error::Tls(TlsFailure::TimeUnknown).to_string();
    let story = report.story();
    assert_eq!(story[0], format!("event 1 attempt 1: {unknown}"));
    let failed = story.iter().filter(|line| line.starts_with("event "));
    assert!(failed.clone().all(|line| line.ends_with(&unknown)), "{story:?}");
    assert_eq!(story.last(), Some(&"breaker: closed"));
    assert!(time.asked() >= 2);
    let said = |text: &str| report.lines.iter().any(|line| line.starts_with(text));
    assert!(said("time: 20"), "{:?}", report.lines);

    assert_eq!(report.count("delivered"), 10);
    let events: Vec<_> = server.requests().iter().map(stamped).collect();
    assert_eq!(events.iter().map(|event| event.0).collect::<Vec<_>>(), Vec::from_iter(1..=10));
    for (id, stamp) in &events {
        if *id <= 5 {
            // Its uptime, and as it was emitted: nothing is rewritten.
            assert!(parsed(stamp) < SLACK, "{id}: {stamp}");
        } else {
            let late = (parsed(stamp) + Duration::from_secs(1)).checked_sub(before);
            assert!(late.is_some_and(|late| late < SLACK), "{id}: {stamp}");
        }
    }
}

#[tokio::test]
async fn https_waits_for_the_time_and_stamps_are_right_from_then_on() {
    told_late(Image::An386).await;
}

#[tokio::test]
async fn the_small_board_has_room_for_the_time_too() {
    told_late(Image::Lm3s6965Tls).await;
}
