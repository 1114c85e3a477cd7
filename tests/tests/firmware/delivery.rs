//! Deliveries to receivers that work, fail, restart or stay silent.

use std::time::Duration;

use pilot_webhook_tests::{Act, Server};

use crate::node::{Image, Node, Report};
use crate::receiver::{CaFile, answers, expect_ids, ids, tls, url};

fn arguments<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}

/// Everything arrived at the first attempt.
#[track_caller]
fn expect_smooth(report: &Report, events: u64) {
    assert_eq!(report.story(), [""; 0]);
    for (key, count) in [("emitted", events), ("delivered", events), ("attempts", events)] {
        assert_eq!(report.count(key), count, "{key}");
    }
    assert_eq!(report.count("circuit_opens"), 0);
    assert_eq!(report.count("last_status"), 200);
}

#[tokio::test]
async fn events_arrive_in_order_and_once_over_http() {
    if !Image::An386.is_there() {
        return;
    }
    let server = Server::start(vec![answers(200, 40)], None).await;
    let words = [url("http", &server), "events=40".into()];
    let report = Node::start(Image::An386, &words).await.end().await;
    expect_smooth(&report, 40);
    expect_ids(&server, 1..=40);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn events_arrive_in_order_and_once_over_tls() {
    if !Image::An386.is_there() {
        return;
    }
    let ca = CaFile::new();
    let server = Server::start(vec![answers(200, 40)], Some(tls())).await;
    let words = [url("https", &server), ca.argument(), "events=40".into()];
    let report = Node::start(Image::An386, &words).await.end().await;
    expect_smooth(&report, 40);
    expect_ids(&server, 1..=40);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn events_arrive_from_the_small_board() {
    if !Image::Lm3s6965.is_there() {
        return;
    }
    let server = Server::start(vec![answers(200, 40)], None).await;
    let words = [url("http", &server), "events=40".into()];
    let report = Node::start(Image::Lm3s6965, &words).await.end().await;
    expect_smooth(&report, 40);
    expect_ids(&server, 1..=40);
}

#[tokio::test]
async fn events_arrive_from_the_small_board_over_tls() {
    if !Image::Lm3s6965Tls.is_there() {
        return;
    }
    let ca = CaFile::new();
    let server = Server::start(vec![answers(200, 20)], Some(tls())).await;
    let words = [url("https", &server), ca.argument(), "events=20".into()];
    let report = Node::start(Image::Lm3s6965Tls, &words).await.end().await;
    expect_smooth(&report, 20);
    expect_ids(&server, 1..=20);
}

/// Plain HTTP needs no time. The stamps then tell the node's uptime.
#[tokio::test]
async fn without_a_time_events_are_stamped_from_the_epoch() {
    if !Image::An386.is_there() {
        return;
    }
    let server = Server::start(vec![answers(200, 3)], None).await;
    let words = [url("http", &server), "events=3".into(), "time=unknown".into()];
    let report = Node::start(Image::An386, &words).await.end().await;
    expect_smooth(&report, 3);
    for seen in server.requests() {
        let event: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        let stamp = event["timestamp"].as_str().unwrap();
        assert!(stamp.starts_with("1970-01-01T00:0"), "{event}");
    }
}

/// Nothing is given up in hold mode. The waits are the node's own, measured where they end.
#[tokio::test]
async fn a_receiver_that_fails_is_tried_again_and_left_alone_and_probed() {
    if !Image::An386.is_there() {
        return;
    }
    // A connection for each attempt after a failure and for each probe.
    let scripts = [vec![answers(500, 1); 4], vec![answers(200, 4)]].concat();
    let server = Server::start(scripts, None).await;
    let mut words = arguments(["events=4", "on_open=hold", "threshold=1"]);
    words.extend(arguments(["backoff_ms=100", "cooldown_ms=700"]));
    words.push(url("http", &server));
    let report = Node::start(Image::An386, &words).await.end().await;

    // The second probe is of another event, which may show that the first one is the reason.
    expect_ids(&server, [1, 1, 1, 2, 1, 2, 3, 4]);
    let story = report.story();
    let attempts: Vec<_> = story.iter().filter(|line| line.starts_with("event ")).collect();
    assert_eq!(attempts.len(), 4, "{story:?}");
    for (attempt, line) in attempts[..3].iter().zip(1..) {
        assert_eq!(**attempt, format!("event 1 attempt {line}: status 500"));
    }
    assert!(attempts[3].starts_with("event 2 ") && attempts[3].ends_with(": status 500"));
    let breaker: Vec<_> = story.iter().filter_map(|line| line.strip_prefix("breaker: ")).collect();
    assert_eq!(breaker, ["open", "half-open", "open", "half-open", "closed"]);

    let times: Vec<_> = server.requests().iter().map(|seen| seen.at).collect();
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A wait begins with an answer, so after the request was here. Less a little: two clocks.
    let (backoff, cooldown) = (Duration::from_millis(95), Duration::from_millis(690));
    assert!(waits[..2].iter().all(|wait| *wait >= backoff), "{waits:?}");
    assert!(waits[2..4].iter().all(|wait| *wait >= cooldown), "{waits:?}");
    for (key, count) in [("delivered", 4), ("attempts", 8), ("circuit_opens", 2)] {
        assert_eq!(report.count(key), count, "{key}");
    }
}

/// As in pilot's Go plugin: events that come while the breaker is open are skipped, and counted.
#[tokio::test]
async fn events_are_skipped_while_the_breaker_is_open() {
    if !Image::An386.is_there() {
        return;
    }
    // The first attempt of the second event goes over the connection of the last attempt before it.
    let server = Server::start(vec![answers(503, 2); 5], None).await;
    let mut words = arguments(["events=5", "on_open=skip", "threshold=2"]);
    words.extend(arguments(["backoff_ms=10", "cooldown_ms=60000"]));
    words.push(url("http", &server));
    let report = Node::start(Image::An386, &words).await.end().await;

    expect_ids(&server, [1, 1, 1, 2, 2, 2]);
    assert_eq!(
        report.story(),
        [
            "event 1 attempt 1: status 503",
            "event 1 attempt 2: status 503",
            "event 1 attempt 3: status 503",
            "event 2 attempt 1: status 503",
            "event 2 attempt 2: status 503",
            "event 2 attempt 3: status 503",
            "breaker: open",
        ]
    );
    for (key, count) in [("exhausted", 2), ("skipped", 3), ("attempts", 6), ("last_status", 503)] {
        assert_eq!(report.count(key), count, "{key}");
    }
}

#[tokio::test]
async fn a_receiver_that_refuses_an_event_for_good_is_asked_once() {
    if !Image::An386.is_there() {
        return;
    }
    let script = [answers(200, 1), answers(404, 1), answers(200, 1)].concat();
    let server = Server::start(vec![script], None).await;
    let words = [url("http", &server), "events=3".into()];
    let report = Node::start(Image::An386, &words).await.end().await;
    expect_ids(&server, 1..=3);
    assert_eq!(report.story(), ["event 2 attempt 1: status 404"]);
    assert_eq!((report.count("delivered"), report.count("rejected")), (2, 1));
}

#[tokio::test]
async fn nothing_is_lost_while_the_receiver_is_down() {
    if !Image::An386.is_there() {
        return;
    }
    let down = Server::refusing();
    let mut words = arguments(["events=12", "on_open=hold", "threshold=1"]);
    words.extend(arguments(["backoff_ms=20", "cooldown_ms=200", "drain_s=60"]));
    words.push(url("http", &down));
    let mut node = Node::start(Image::An386, &words).await;
    node.line("breaker: open").await;
    let up = down.listen(vec![answers(200, 12)], None);
    let report = node.end().await;
    expect_ids(&up, 1..=12);
    assert_eq!(report.count("delivered"), 12);
    assert!(report.count("attempts") > 12);
    assert_eq!(report.story().last(), Some(&"breaker: closed"));
}

/// The server closed the connection while the node was idle. The node sees that before it sends, and
/// no attempt is lost to it.
async fn restarted(scheme: &str, end: Act) {
    if !Image::An386.is_there() {
        return;
    }
    let ca = CaFile::new();
    let config = (scheme == "https").then(tls);
    let first = [answers(200, 5), vec![end]].concat();
    let server = Server::start(vec![first, answers(200, 5)], config).await;
    let mut words = arguments(["events=10", "idle_ms=2000"]);
    words.extend([url(scheme, &server), ca.argument()]);
    let report = Node::start(Image::An386, &words).await.end().await;
    expect_smooth(&report, 10);
    expect_ids(&server, 1..=10);
    let connections: Vec<_> = server.requests().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    restarted("http", Act::Close).await;
}

#[tokio::test]
async fn a_kept_connection_that_was_reset_is_replaced() {
    restarted("http", Act::Reset).await;
}

#[tokio::test]
async fn a_kept_tls_connection_that_was_closed_is_replaced() {
    restarted("https", Act::Close).await;
}

#[tokio::test]
async fn a_kept_tls_connection_that_was_cut_is_replaced() {
    restarted("https", Act::Cut).await;
}

/// A receiver that takes the request and says nothing costs the node its time-out, by its own clock,
/// and a new connection.
#[tokio::test]
async fn a_receiver_that_says_nothing_is_given_up() {
    if !Image::An386.is_there() {
        return;
    }
    let silent = vec![Act::Read, Act::Hold];
    let server = Server::start(vec![silent, answers(200, 2)], None).await;
    let mut words = arguments(["events=2", "timeout_ms=2500", "backoff_ms=10"]);
    words.push(url("http", &server));
    let report = Node::start(Image::An386, &words).await.end().await;
    assert_eq!(ids(&server), [1, 1, 2]);
    let seen = server.requests();
    let waited = seen[1].at - seen[0].at;
    // Its clock started before the request was here, by no more than a loaded host is slow.
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    assert_eq!(report.count("attempts"), 3);
    assert_eq!(report.story().len(), 1, "{:?}", report.story());
}
