//! Alerts, the dashboard and the documentation use names that are served, and the documentation has them all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use super::served::{Daemon, Served};
use crate::support::Sink;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What a gateway serves beside that: `gateway` looks at it.
const OF_GATEWAY: &str = "# HELP pilot_webhook_stream_messages .
# TYPE pilot_webhook_stream_messages gauge
pilot_webhook_stream_messages{endpoint=\"pilot\"} 0
";

/// What a daemon with an outbox serves, and a gateway: everything.
fn served() -> Served {
    let sink = Sink::start();
    let daemon = Daemon::start(&sink.url(), &["--outbox", "OUTBOX"]);
    let served = Served::parse(&(daemon.metrics() + OF_GATEWAY));
    daemon.stop();
    served
}

/// The labels that Prometheus adds, and those that have no fixed values.
const ADDED: [&str; 2] = ["instance", "job"];
const FREE: [&str; 3] = ["endpoint", "version", "le"];

/// Fails when an expression uses a metric, a label, or a value of one that is not served.
fn check(expression: &str, served: &Served) {
    let mut labels = BTreeSet::from(ADDED.map(str::to_owned));
    for (at, _) in expression.match_indices(|letter: char| letter.is_ascii_lowercase()) {
        let is_inside = expression[..at].ends_with(|before: char| is_of_name(before));
        let rest = &expression[at..];
        let name = &rest[..rest.find(|letter| !is_of_name(letter)).unwrap_or(rest.len())];
        if is_inside || !(name.starts_with("pilot_webhook_") || name.starts_with("process_")) {
            continue;
        }
        let known = served.labels.get(name).unwrap_or_else(|| panic!("no {name}: {expression}"));
        labels.extend(known.keys().cloned());
        if let Some(selector) = rest[name.len()..].strip_prefix('{') {
            selects(selector.split('}').next().unwrap(), known, expression);
        }
    }
    for word in ["by (", "on (", "group_left ("] {
        for (at, _) in expression.match_indices(word) {
            let list = expression[at + word.len()..].split(')').next().unwrap();
            for label in list.split(',').map(str::trim) {
                assert!(labels.contains(label), "no label {label}: {expression}");
            }
        }
    }
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Fails when a selector asks for labels or values that a metric does not have.
fn selects(selector: &str, known: &BTreeMap<String, BTreeSet<String>>, expression: &str) {
    for pair in selector.split(',') {
        let (label, value) = pair.split_once('=').unwrap();
        let label = label.trim_end_matches('!');
        if ADDED.contains(&label) {
            continue;
        }
        let values = known.get(label).unwrap_or_else(|| panic!("no {label}: {expression}"));
        let value = value.trim_start_matches('~').trim_matches('"');
        for value in value.split('|').filter(|_| !FREE.contains(&label)) {
            assert!(values.contains(value), "{label} is never {value}: {expression}");
        }
    }
}

/// The labels that a text for people puts in.
fn check_labels(text: &str, open: &str, served: &Served) {
    let known: BTreeSet<_> = served.labels.values().flat_map(BTreeMap::keys).collect();
    for (at, _) in text.match_indices(open) {
        let label = text[at + open.len()..].split('}').next().unwrap().trim();
        if !label.starts_with("$value") {
            let is_known = known.iter().any(|known| *known == label) || ADDED.contains(&label);
            assert!(is_known, "no label {label}: {text}");
        }
    }
}

/// The expressions of a dashboard, and the texts that have labels.
fn texts<'d>(value: &'d Value, key: &str, found: &mut Vec<&'d str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == key => found.push(text),
                    _ => texts(value, key, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, key, found)),
        _ => {}
    }
}

#[test]
fn alerts_the_dashboard_and_the_documentation_use_what_is_served() {
    let served = served();
    let alerts = read("packaging/prometheus/alerts.yml");
    let lines = |key| alerts.lines().filter_map(move |line| line.trim_start().strip_prefix(key));
    assert!(lines("expr: ").count() > 10);
    lines("expr: ").for_each(|expression| check(expression, &served));
    lines("summary: ").for_each(|summary| check_labels(summary, "{{ $labels.", &served));

    let dashboard: Value = serde_json::from_str(&read("packaging/grafana/dashboard.json")).unwrap();
    let find = |key| {
        let mut found = Vec::new();
        texts(&dashboard, key, &mut found);
        found
    };
    assert!(find("expr").len() > 20);
    for expression in find("expr") {
        check(expression, &served);
    }
    for query in find("query").into_iter().filter(|query| *query != "prometheus") {
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (metric, label) = inner.unwrap().rsplit_once(", ").unwrap();
        check(metric, &served);
        let metric = metric.split('{').next().unwrap();
        assert!(ADDED.contains(&label) || served.labels[metric].contains_key(label), "{query}");
    }
    find("legendFormat").into_iter().for_each(|legend| check_labels(legend, "{{", &served));

    // The table has each family with its type and its labels.
    let operations = read("../../docs/operations.md");
    let rows: BTreeMap<_, _> = operations
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter(|(name, _)| name.starts_with("pilot_webhook_") || name.starts_with("process_"))
        .collect();
    assert_eq!(rows.keys().collect::<Vec<_>>(), served.families.keys().collect::<Vec<_>>());
    for (family, kind) in &served.families {
        let mut cells = rows[&**family].split('|').map(|cell| cell.trim().replace('`', ""));
        assert_eq!(cells.next().as_ref(), Some(kind), "{family}");
        let labels = cells.next().unwrap();
        let said: BTreeSet<_> = labels.split(", ").filter(|label| !label.is_empty()).collect();
        let sample = if kind == "histogram" { format!("{family}_count") } else { family.clone() };
        assert_eq!(said, served.labels[&sample].keys().map(String::as_str).collect(), "{family}");
    }

    // Each alert has a chapter, and each chapter an alert.
    let of_alerts: BTreeSet<_> = lines("- alert: ").collect();
    let chapters: BTreeSet<_> =
        operations.lines().filter_map(|line| line.strip_prefix("### Pilot")).collect();
    let chapters = chapters.into_iter().map(|rest| format!("Pilot{rest}")).collect::<BTreeSet<_>>();
    assert_eq!(of_alerts.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), chapters);
}

#[test]
fn a_name_that_is_not_served_is_found() {
    let text =
        "# HELP pilot_webhook_a A.\n# TYPE pilot_webhook_a gauge\npilot_webhook_a{state=\"x\"} 1\n";
    let served = Served::parse(text);
    check(
        "max by (state, instance) (rate(pilot_webhook_a{state=~\"x|x\",job=\"j\"}[5m])) > 0",
        &served,
    );
    for wrong in [
        "pilot_webhook_b",
        "pilot_webhook_a{other=\"x\"}",
        "pilot_webhook_a{state=\"y\"}",
        "pilot_webhook_a{state!~\"x|y\"}",
        "sum by (other) (pilot_webhook_a)",
    ] {
        let checked = std::panic::catch_unwind(|| check(wrong, &served));
        assert!(checked.is_err(), "{wrong}");
    }
}
