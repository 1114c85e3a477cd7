//! The numbers are those that the daemon itself has.

use serde_json::Value;

use super::served::{Daemon, Served};
use crate::support::Sink;

const FATES: [&str; 8] = [
    "emitted",
    "delivered",
    "rejected",
    "exhausted",
    "skipped",
    "dropped",
    "oversize",
    "abandoned",
];

fn events(fate: &str) -> String {
    format!("pilot_webhook_events_total{{endpoint=\"pilot\",fate=\"{fate}\"}}")
}

/// What was served last is what the daemon printed at its end.
#[track_caller]
fn expect_same(served: &Served, stats: &Value) {
    let number = |key: &str| stats[key].as_f64().unwrap();
    for fate in FATES {
        assert_eq!(served.value(&events(fate)), Some(number(fate)), "{fate}");
    }
    let attempts = number("attempts");
    assert_eq!(served.sum("pilot_webhook_attempts_total", "class="), attempts);
    let pilot = "{endpoint=\"pilot\"}";
    let value = |name: &str| served.value(&format!("{name}{pilot}")).unwrap();
    assert_eq!(value("pilot_webhook_attempt_duration_seconds_count"), attempts);
    assert_eq!(value("pilot_webhook_delivery_age_seconds_count"), number("delivered"));
    assert_eq!(value("pilot_webhook_breaker_openings_total"), number("circuit_opens"));
    for kind in ["lines", "bad_lines", "requests", "posted", "sent_back"] {
        let sample = format!("pilot_webhook_input_total{{kind=\"{kind}\"}}");
        assert_eq!(served.value(&sample), Some(number(kind)), "{kind}");
    }
    assert_eq!(value("pilot_webhook_queue_events"), 0.0);
    assert_eq!(value("pilot_webhook_queue_bytes"), 0.0);
    assert_eq!(value("pilot_webhook_oldest_event_age_seconds"), 0.0);
    assert_eq!(served.sum("pilot_webhook_breaker_state", pilot.trim_matches(['{', '}'])), 1.0);
}

#[test]
fn what_is_delivered_is_counted() {
    let sink = Sink::start();
    let daemon = Daemon::start(&sink.url(), &[]);
    let served = daemon.metrics_when(&events("delivered"), 54.0);
    assert_eq!(served.sum("pilot_webhook_connections_total", "kind=\"new\""), 1.0);
    assert_eq!(served.sum("pilot_webhook_connections_total", "kind=\"reused\""), 53.0);
    assert!(!served.families.contains_key("pilot_webhook_outbox_events"));
    // These were captured long ago.
    let day = "pilot_webhook_delivery_age_seconds_bucket{endpoint=\"pilot\",le=\"86400\"}";
    assert_eq!(served.value(day), Some(0.0));
    expect_same(&served, &daemon.stop());
}

#[test]
fn what_is_refused_is_counted_and_kept() {
    // It wants signatures.
    let sink = Sink::start_with_secret(b"another");
    let daemon = Daemon::start(&sink.url(), &["--outbox", "OUTBOX"]);
    let served = daemon.metrics_when("pilot_webhook_dead_letters{endpoint=\"pilot\"}", 54.0);
    assert_eq!(served.value(&events("rejected")), Some(54.0));
    assert_eq!(served.sum("pilot_webhook_attempts_total", "class=\"4xx\""), 54.0);
    assert_eq!(served.value("pilot_webhook_outbox_events{endpoint=\"pilot\"}"), Some(0.0));
    assert_eq!(served.value("pilot_webhook_outbox_bytes"), Some(0.0));
    expect_same(&served, &daemon.stop());
}

#[test]
fn each_endpoint_has_its_own_numbers() {
    let (well, ill) = (Sink::start(), Sink::start_with_secret(b"another"));
    let endpoint = |name, sink: &Sink| {
        format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{}\"\non_full = \"block\"\n", sink.url())
    };
    let config = format!("{}{}", endpoint("well", &well), endpoint("ill", &ill));
    let daemon = Daemon::start_with_config(&config);
    let event = |name: &str, fate: &str| {
        format!("pilot_webhook_events_total{{endpoint=\"{name}\",fate=\"{fate}\"}}")
    };
    daemon.metrics_when(&event("ill", "rejected"), 54.0);
    let served = daemon.metrics_when(&event("well", "delivered"), 54.0);
    assert_eq!(served.value(&event("ill", "delivered")), Some(0.0));
    assert_eq!(served.sum("pilot_webhook_attempts_total", "endpoint=\"ill\",class=\"4xx\""), 54.0);
    assert_eq!(served.sum("pilot_webhook_attempts_total", "endpoint=\"well\",class=\"2xx\""), 54.0);
    let names = &served.labels["pilot_webhook_queue_events"]["endpoint"];
    assert_eq!(names.iter().collect::<Vec<_>>(), ["ill", "well"]);
    daemon.stop();
}

#[test]
fn the_numbers_of_an_endpoint_go_on_when_it_is_configured_anew() {
    let sink = Sink::start();
    let config = |capacity: u32| {
        let url = sink.url();
        format!(
            "[[endpoint]]\nname = \"a\"\nurl = \"{url}\"\non_full = \"block\"\nqueue_capacity = {capacity}\n"
        )
    };
    let daemon = Daemon::start_with_config(&config(100));
    let delivered = "pilot_webhook_events_total{endpoint=\"a\",fate=\"delivered\"}";
    daemon.metrics_when(delivered, 54.0);
    daemon.configure(&config(200));
    let served = daemon.metrics_when("pilot_webhook_queue_capacity_events{endpoint=\"a\"}", 200.0);
    assert_eq!(served.value(delivered), Some(54.0));
    assert_eq!(served.sum("pilot_webhook_attempts_total", "class=\"2xx\""), 54.0);
    let count = "pilot_webhook_attempt_duration_seconds_count{endpoint=\"a\"}";
    assert_eq!(served.value(count), Some(54.0));
    daemon.stop();
}

#[test]
fn what_waits_is_counted_with_its_age() {
    let nobody = Sink::reserve();
    let daemon = Daemon::start(
        &nobody.url(),
        &["--on-open", "hold", "--queue-capacity", "8", "--retry-backoff", "10ms"],
    );
    let open = "pilot_webhook_breaker_state{endpoint=\"pilot\",state=\"open\"}";
    let served = daemon.metrics_when(open, 1.0);
    let value = |name: &str| served.value(&format!("{name}{{endpoint=\"pilot\"}}")).unwrap();
    assert_eq!(value("pilot_webhook_queue_events"), 8.0);
    assert_eq!(value("pilot_webhook_queue_capacity_events"), 8.0);
    assert!(value("pilot_webhook_queue_bytes") > 8.0 * 32.0);
    assert!(value("pilot_webhook_oldest_event_age_seconds") > 86_400.0);
    assert!(served.sum("pilot_webhook_attempts_total", "class=\"connect\"") >= 3.0);
    assert_eq!(daemon.get("/readyz", "*/*").0, 200, "it takes events all the same");
    daemon.stop();
}

#[test]
fn what_is_stored_for_nobody_has_an_age() {
    let daemon = Daemon::start("", &["--outbox", "OUTBOX", "--socket", "SOCKET"]);
    let served = daemon.metrics_when("pilot_webhook_outbox_events{endpoint=\"pilot\"}", 54.0);
    let value = |name: &str| served.value(&format!("{name}{{endpoint=\"pilot\"}}")).unwrap();
    assert_eq!(value("pilot_webhook_queue_events"), 0.0);
    assert!(value("pilot_webhook_oldest_event_age_seconds") > 86_400.0);
    assert_eq!(daemon.get("/readyz", "*/*").0, 200, "events are stored");
    daemon.stop();
}

#[test]
fn a_full_outbox_is_not_ready() {
    let nobody = Sink::reserve();
    let options = ["--outbox", "OUTBOX", "--outbox-max-bytes", "4000"];
    let daemon = Daemon::start(&nobody.url(), &options);
    daemon.metrics_when("pilot_webhook_outbox_capacity_bytes", 4_000.0);
    let begin = std::time::Instant::now();
    let expected = "{\"ready\":false,\"reasons\":[\"outbox-not-writable\"]}\n".to_owned();
    while daemon.get("/readyz", "*/*") != (503, expected.clone()) {
        assert!(begin.elapsed().as_secs() < 60, "it is full");
    }
    let (status, health) = daemon.get("/healthz", "*/*");
    assert_eq!(status, 200);
    let health = health.strip_prefix("ok\n").unwrap();
    let said = ["", "pilot: failing: the last attempts failed\n", "pilot: stopped: breaker open\n"];
    assert!(said.contains(&health), "{health}");
    daemon.stop();
}
