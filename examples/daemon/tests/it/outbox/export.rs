//! What is exported is read again.

use std::fs;

use pilot_webhook_std::Timestamp;
use pilot_webhook_std::outbox::NewEvent;
use pilot_webhookd::events::Lines;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::place::{Place, done};
use crate::support::{Sink, bare, run};

/// Topics and data as `run --events` reads them.
fn read(exported: &str) -> Vec<(String, String)> {
    let mut lines = Lines::new(exported.as_bytes());
    let mut all = Vec::new();
    while let Some((_, line)) = lines.next().unwrap() {
        let line = line.unwrap();
        assert_eq!(line.node_id, Some(7));
        assert_eq!(line.timestamp, Some(super::place::NOON));
        all.push((line.topic.to_string(), line.data().to_owned()));
    }
    all
}

#[tokio::test]
async fn what_is_exported_is_read_as_what_was_put_in() {
    let place = Place::new();
    let outbox = place.filled().await;
    let live = place.out(&["export"]);
    outbox.close().await.unwrap();
    let all = place.out(&["export"]);
    assert_eq!(all, live);
    let expected = [
        ("conn.established", "{ \"big\": 12345678901234567890123 }"),
        ("a\u{1b}[2Jb", "null"),
        ("conn.lost", "null"),
        ("conn.lost", "{\"n\":2}"),
        ("peer.lost", "\"x\\u001b[2J\""),
    ]
    .map(|(topic, data)| (topic.to_owned(), data.to_owned()));
    assert_eq!(read(&all), expected);
    assert_eq!(place.out(&["export", "--json"]), all);
    assert_eq!(read(&place.out(&["export", "--waiting"])), expected[..3]);
    assert_eq!(read(&place.out(&["export", "--dead"])), expected[3..]);
    // A list with more in it is read, too.
    assert_eq!(read(&place.out(&["list", "--json"])), expected[..3]);
    assert_eq!(read(&place.out(&["dead", "--json"])), expected[3..]);
    let done = place.run(&["export", "--dead", "--waiting"]);
    assert_eq!((done.status, done.out.as_str()), (2, ""));
}

#[tokio::test]
async fn what_is_exported_is_delivered_by_another_daemon() {
    let place = Place::stopped().await;
    let lines = place.path.with_extension("jsonl");
    fs::write(&lines, place.out(&["export"])).unwrap();
    let sink = Sink::start();
    let mut daemon = bare();
    daemon.args(["run", "--webhook", &sink.url(), "--events"]).arg(&lines);
    let (stats, output) = run(&mut daemon);
    assert_eq!((&stats["delivered"], output.status.code()), (&Value::from(5), Some(0)));
    let first: Value = serde_json::from_str(&sink.received()[3]).unwrap();
    assert_eq!((&first["event"], &first["data"]["n"]), (&"conn.lost".into(), &2.into()));
}

/// Any text, control characters included.
fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..20).prop_map(String::from_iter)
}

/// Data in several lines, in which any text may be.
fn data() -> impl Strategy<Value = Option<String>> {
    let value = (text(), text(), any::<f64>());
    let pretty = |(key, text, number): (String, String, f64)| {
        let value = json!({(key): [text, number]});
        serde_json::to_string_pretty(&value).unwrap()
    };
    proptest::option::of(value.prop_map(pretty))
}

fn time() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), any::<u32>()).prop_map(|(seconds, nanos)| Timestamp::new(seconds, nanos))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn whatever_was_put_in_is_exported(
        events in vec((text(), data(), any::<u32>(), time()), 0..150),
    ) {
        let place = Place::new();
        let news: Vec<_> = events
            .iter()
            .map(|(topic, data, node, time)| {
                let event = NewEvent::new(topic, *node, *time);
                data.as_deref().map_or(event, |data| event.with_data(data))
            })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let outbox = place.open();
            outbox.put_all(&news, None).unwrap().await.unwrap();
            outbox.close().await.unwrap();
        });
        let exported = place.out(&["export"]);
        let mut lines = Lines::new(exported.as_bytes());
        for (topic, data, node, time) in &events {
            let line = lines.next().unwrap().unwrap().1.unwrap();
            prop_assert_eq!(&line.topic, topic);
            // The ends of its lines may have become spaces, and nothing else.
            let data = data.as_ref().map(|data| data.replace('\n', " "));
            prop_assert_eq!(line.data.map(|data| data.get().to_owned()), data);
            prop_assert_eq!((line.node_id, line.timestamp), (Some(*node), Some(*time)));
        }
        prop_assert!(lines.next().unwrap().is_none());
        prop_assert_eq!(place.out(&["list"]).lines().count(), events.len());
    }
}

/// Only somebody else can have written it. It costs no other event.
#[tokio::test]
async fn data_that_is_not_json_is_left_out_and_told() {
    let place = Place::stopped().await;
    place.sql("UPDATE events SET data = 'nope' WHERE id = 4");
    for arguments in [&["export", "--waiting"][..], &["list", "--json"]] {
        let it = done(&mut place.command(arguments));
        assert_eq!((it.status, it.out.lines().count()), (1, 2));
        assert_eq!(it.err, "pilot-webhookd: event 4 is left out: its data is not JSON\n");
    }
    assert!(place.out(&["list"]).contains("  4 B  nope\n"));
    place.sql("UPDATE events SET data = '{}}' WHERE id = 6");
    let it = place.run(&["list", "--json"]);
    assert_eq!(it.out.lines().count(), 1);
    assert!(it.err.contains("2 events are left out, the first is 4"), "{}", it.err);
    assert_eq!(place.run(&["show", "4", "--json"]).status, 1);
}
