//! What the original posts arrives, in order and once.

use serde_json::Value;

use super::daemon::Daemon;
use super::original::Original;
use crate::support::{self, EVENTS, Sink, daemon};

/// Posts the captured events; returns how many were answered 204.
pub(crate) fn emit_captured(original: &mut Original) -> usize {
    let captured = std::fs::read_to_string(EVENTS).unwrap();
    let statuses = captured.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| event[key].to_string();
        let node_id = event["node_id"].as_u64().unwrap();
        original.emit(&text("topic"), node_id, &text("timestamp"), &text("data"))
    });
    statuses.filter(|status| *status == Some(204)).count()
}

#[test]
fn the_captured_events_arrive_as_they_were_posted() {
    let sink = Sink::start();
    let listening = Daemon::start(&mut daemon(&sink.url()));
    assert_eq!(emit_captured(&mut Original::start(listening.address)), 54);
    sink.wait_for(54);
    let stats = listening.stop();
    support::expect_all_in_order(&sink);
    assert_eq!((stats["requests"].as_u64(), stats["posted"].as_u64()), (Some(54), Some(54)));
    assert_eq!((stats["delivered"].as_u64(), stats["bad_requests"].as_u64()), (Some(54), Some(0)));
}

#[test]
fn an_event_whose_answer_was_lost_is_posted_again_and_arrives_once() {
    let sink = Sink::start();
    let listening = Daemon::start(&mut daemon(&sink.url()));
    let mut original = Original::start(listening.address);
    original.loses_answers = true;
    assert_eq!(emit_captured(&mut original), 54);
    sink.wait_for(54);
    let stats = listening.stop();
    support::expect_all_in_order(&sink);
    assert_eq!(stats["delivered"], 54);
    // Two more attempts of each. A request on a connection that broke behind it counted only now and then.
    assert_eq!(stats["repeats"], 108);
}

/// Its ids begin at 1 again; ours go on.
#[test]
fn the_events_of_an_original_that_was_restarted_are_new_ones() {
    let sink = Sink::start();
    let listening = Daemon::start(&mut daemon(&sink.url()));
    for start in 0..3 {
        let mut original = Original::start(listening.address);
        for _ in 0..2 {
            let time = format!("\"2026-01-15T12:34:5{start}.000000001Z\"");
            assert_eq!(original.emit("\"conn.established\"", 5, &time, "null"), Some(204));
        }
    }
    sink.wait_for(6);
    let stats = listening.stop();
    assert_eq!((stats["delivered"].as_u64(), stats["repeats"].as_u64()), (Some(6), Some(0)));
    for (index, body) in sink.received().iter().enumerate() {
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["event_id"], index + 1);
        let time = format!("2026-01-15T12:34:5{}.000000001Z", index / 2);
        assert_eq!(body["timestamp"], time);
    }
}

#[test]
fn an_array_is_taken_as_a_batch_and_lines_and_posts_go_together() {
    let sink = Sink::start();
    let listening = Daemon::start(daemon(&sink.url()).args(["--events", EVENTS]));
    sink.wait_for(54);
    let mut original = Original::start(listening.address);
    let (status, _, _) = original.post(r#"[{"event":"a"},{"event":"b","node_id":3,"data":null}]"#);
    assert_eq!(status, 204);
    // Without an id it is no repeat.
    assert_eq!(original.post(r#"{"event":"a"}"#).0, 204);
    sink.wait_for(57);
    let stats = listening.stop();
    let counts = ["lines", "posted", "requests", "delivered"].map(|key| stats[key].as_u64());
    assert_eq!(counts, [Some(54), Some(3), Some(2), Some(57)]);
    let last: Vec<Value> =
        sink.received()[54..].iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!((&last[0]["event"], &last[0]["node_id"]), (&"a".into(), &0.into()));
    assert_eq!((&last[1]["event"], &last[1]["node_id"]), (&"b".into(), &3.into()));
    assert!(last[1].get("data").is_none());
}

/// 503 at once made it wait for a second each time.
#[test]
fn a_sender_is_slowed_down_to_the_pace_of_the_receiver() {
    let sink = Sink::start();
    let listening = Daemon::start(daemon(&sink.url()).args(["--queue-capacity", "2"]));
    let mut original = Original::start(listening.address);
    for _ in 0..4 {
        assert_eq!(emit_captured(&mut original), 54);
    }
    sink.wait_for(4 * 54);
    let stats = listening.stop();
    assert_eq!((stats["delivered"].as_u64(), stats["sent_back"].as_u64()), (Some(216), Some(0)));
}

/// What has no room stays the sender's, and its retries find room when the receiver is back.
#[test]
fn while_the_queue_is_full_the_sender_is_told_and_nothing_is_lost() {
    let sink = Sink::reserve();
    let mut command = daemon(&sink.url());
    command.args(["--on-open", "hold", "--circuit-cooldown", "1s", "--retry-backoff", "50ms"]);
    command.args(["--circuit-threshold", "1", "--queue-capacity", "8", "--on-full", "drop-newest"]);
    let listening = Daemon::start(&mut command);
    let mut original = Original::start(listening.address);
    let body = |id: u64| {
        format!(
            "{{\"event_id\":{id},\"event\":\"e\",\"node_id\":5,\"timestamp\":\"2026-01-15T12:34:56Z\"}}"
        )
    };
    for id in 1..=8 {
        assert_eq!(original.post(&body(id)).0, 204);
    }
    let (status, head, reason) = original.post(&body(9));
    assert_eq!((status, reason.as_str()), (503, "the event queue is full\n"));
    assert!(head.contains("\r\nretry-after: 1\r\n"), "{head}");
    // A repeat needs no room.
    assert_eq!(original.post(&body(8)).0, 204);
    listening.wait_for_log("a request was answered 503: the event queue is full");
    let sink = sink.start_after(std::time::Duration::ZERO).join().unwrap();
    sink.wait_for(8);
    assert_eq!(original.post(&body(9)).0, 204);
    sink.wait_for(9);
    let stats = listening.stop();
    let counts = ["posted", "delivered", "repeats", "sent_back", "dropped", "bad_requests"];
    let expected = [11, 9, 1, 1, 0, 0].map(Some);
    assert_eq!(counts.map(|key| stats[key].as_u64()), expected, "{stats}");
}
