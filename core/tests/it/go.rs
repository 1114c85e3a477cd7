//! `PilotGoFormat` byte for byte against what Go writes: the payloads of pilot's plugin, texts that
//! `data/oracle.go` has written, and, where `go` is installed, any number of others.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use pilot_webhook_core::{Event, Format, PilotFormat, PilotGoFormat, Secret, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::support::sent::sent;

/// The data of events with these, as it is sent.
fn rewritten(texts: &[String]) -> Vec<String> {
    let events =
        texts.iter().map(|text| (Event::new("t", 0, Timestamp::UNIX_EPOCH), text.as_str()));
    let messages = sent(&PilotGoFormat::EXACT, &(), 1, &events.collect::<Vec<_>>());
    let data = messages.iter().map(|message| match message.body.split_once(",\"data\":") {
        Some((_, data)) => data.strip_suffix('}').unwrap().to_owned(),
        None => "null".to_owned(),
    });
    data.collect()
}

#[test]
fn every_payload_of_the_original_is_the_same_and_so_is_its_signature() {
    let vectors = include_str!("../data/go-payloads.jsonl").lines();
    for vector in vectors.map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let text = |key: &str| vector[key].as_str().unwrap();
        let number = |key: &str| vector[key].as_i64().unwrap();
        let time =
            Timestamp::new(number("unix_seconds"), number("subsec_nanos").try_into().unwrap());
        let event = Event::new(text("event"), number("node_id").try_into().unwrap(), time);
        let event = event.with_id(text("event_id").parse().unwrap());
        let data = vector["data_json"].as_str().filter(|json| !json.is_empty()).unwrap_or("null");
        let secret = Secret::new(text("secret").as_bytes()).unwrap();
        let message = sent(&PilotGoFormat::EXACT, &secret, 1, &[(event, data)]).remove(0);
        assert_eq!(message.body, text("body"), "{}", text("name"));
        assert_eq!(message.header("X-Pilot-Signature-256"), Some(text("signature")));
        assert_eq!(message.header("Content-Type"), Some("application/json"));
    }
}

#[test]
fn texts_are_written_as_go_writes_them() {
    let lines = include_str!("../data/go-texts.jsonl").lines();
    for line in lines.map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let text = line["text"].as_str().unwrap().to_owned();
        assert_eq!(
            rewritten(std::slice::from_ref(&text)),
            [line["go"].as_str().unwrap()],
            "{text}"
        );
    }
    // Go has none of these: its decoder refuses what no float can hold.
    assert_eq!(rewritten(&["[1e400,-1e99999999999]".into()]), ["[1e400,-1e99999999999]"]);
    // No number runs over.
    let tiny = ["0.01e-2147483648", "0.01e-2147483647", "1e-99999999999", "0e99999999999"];
    assert_eq!(rewritten(&tiny.map(str::to_owned)), ["0"; 4]);
}

#[test]
fn a_topic_is_escaped_as_well() {
    let event = Event::new("<a>&\"\u{2028}\u{8}", 0, Timestamp::UNIX_EPOCH);
    let body = sent(&PilotGoFormat::EXACT, &(), 1, &[(event, "1")]).remove(0).body;
    assert!(body.contains(r#","event":"\u003ca\u003e\u0026\"\u2028\b","#), "{body}");
}

#[test]
fn a_batch_is_an_array_as_with_the_other_format() {
    let event = Event::new("t", 0, Timestamp::UNIX_EPOCH);
    let events = [(event, "1"), (event, "[]"), (event, "null")];
    let [ours, other] = [&PilotGoFormat::EXACT as &dyn Format, &PilotFormat]
        .map(|format| sent(format, &(), 3, &events).remove(0));
    assert_eq!((ours.body, ours.headers), (other.body, other.headers));
}

#[test]
fn without_reading_floats_those_of_types_are_the_same_and_other_digits_stay() {
    let short = |text: &str| {
        let event = Event::new("t", 0, Timestamp::UNIX_EPOCH);
        let body = sent(&PilotGoFormat::SHORTEST, &(), 1, &[(event, text)]).remove(0).body;
        body.split_once(",\"data\":").unwrap().1.strip_suffix('}').unwrap().to_owned()
    };
    let floats = [1.5, 0.1 + 0.2, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e21, 1e-7, 123_456_789.0];
    for float in floats.into_iter().chain((0..200).map(|power| std::f64::consts::PI.powi(power))) {
        let text = pilot_webhook_core::to_json(&float, &mut [0; 32]).unwrap().to_owned();
        assert_eq!(short(&text), rewritten(&[text])[0]);
    }
    assert_eq!(short("[0.10000000000000001,2.0,1.00e-7]"), "[0.10000000000000001,2,1e-7]");
    assert_eq!(short("0.1234567890123456789"), "0.1234567890123456789");
}

/// Its room is as long as the bound says, and an object has its index there, too.
#[test]
fn what_becomes_longest_fits_its_bound() {
    let many = (0..200).map(|at| format!("\"{at}\":0")).collect::<Vec<_>>().join(",");
    let nested = (0..120).fold("{}".to_owned(), |inner, _| format!("{{\"\":{inner}}}"));
    let least = (0..100).fold(String::new(), |keys, _| keys + "\"\":0,");
    for text in [
        format!("\"{}\"", "<".repeat(1_000)),
        format!("\"{}\"", "\u{2028}".repeat(1_000)),
        format!("[{}1e20]", "1e20,".repeat(1_000)),
        format!("{{\"<\":\"&\",{many}}}"),
        format!("{{{least}\"<<<<<<<<\":{nested}}}"),
        "1e20".to_owned(),
        "\"<\"".to_owned(),
    ] {
        let event = Event::new("<", 0, Timestamp::UNIX_EPOCH);
        let body = sent(&PilotGoFormat::EXACT, &(), 1, &[(event, &text)]).remove(0).body;
        assert!(body.len() <= PilotGoFormat::EXACT.bound().body(1, 3 + text.len()), "{text}");
        assert!(serde_json::from_str::<Value>(&body).is_ok());
    }
}

/// JSON text with all that may be written in more than one way.
fn text() -> impl Strategy<Value = String> {
    let string = "(\"([ -!#-\\[\\]-~é€\u{2027}-\u{202a}😀<>&]|\\\\[\"\\\\/bfnrt]|\\\\u00[0-9a-fA-F]{2}|\\\\ud83d\\\\ude00|\\\\u20(28|29)){0,8}\")";
    let leaf = prop_oneof![
        "(null|true|false)",
        string,
        "-?(0|[1-9][0-9]{0,21})",
        "-?(0|[1-9][0-9]{0,18})\\.[0-9]{1,20}",
        "-?[0-9](\\.[0-9]{1,18})?[eE][-+]?([0-9]|[12][0-9]|30[0-7])",
        any::<f64>().prop_filter("a number", |float| float.is_finite()).prop_map(|f| f.to_string()),
        any::<f64>()
            .prop_filter("a number", |float| float.is_finite())
            .prop_map(|f| format!("{f:.17e}")),
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    leaf.prop_recursive(5, 32, 6, move |inner| {
        let members = prop::collection::vec((string, inner.clone()), 0..8).prop_map(|members| {
            let members = members.iter().map(|(key, value)| format!("{key}:{value}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        });
        let elements = prop::collection::vec(inner, 0..6)
            .prop_map(|elements| format!("[{}]", elements.join(",")));
        prop_oneof![members, elements]
    })
}

/// As Go writes each of them; `None` without Go.
fn oracle(texts: &[String]) -> Option<Vec<String>> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/oracle.go");
    let mut go = Command::new("go");
    go.args(["run", source]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut go = go.spawn().ok()?;
    let (mut input, lines) = (go.stdin.take().unwrap(), texts.join("\n") + "\n");
    let writer = thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = go.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

#[test]
fn any_text_is_written_as_go_writes_it() {
    let cases = if std::env::var_os("PILOT_REQUIRE_GO").is_some() { 5_000 } else { 500 };
    let mut runner = TestRunner::new(Config::default());
    let strategy = text();
    let texts = (0..cases).map(|_| strategy.new_tree(&mut runner).unwrap().current());
    let texts = texts.collect::<Vec<_>>();
    let Some(expected) = oracle(&texts) else {
        assert!(std::env::var_os("PILOT_REQUIRE_GO").is_none(), "there is no go");
        eprintln!("SKIPPED: there is no `go` to compare with (Debian: golang-go)");
        return;
    };
    assert_eq!(expected.len(), texts.len());
    for (texts, expected) in texts.chunks(500).zip(expected.chunks(500)) {
        for ((text, expected), ours) in texts.iter().zip(expected).zip(rewritten(texts)) {
            assert_eq!(ours, *expected, "{text}");
        }
    }
}
