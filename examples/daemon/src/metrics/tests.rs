use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pilot_webhook_core::{BreakerState, ErrorKind, Reply, Stats, TransportError};
use pilot_webhook_std::outbox::Ledger;

use super::*;

/// Of a text in either form: the value of each sample by its name and labels, and the type of each family.
fn parse(text: &str) -> (BTreeMap<&str, f64>, BTreeMap<&str, &str>) {
    let (mut samples, mut types) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            assert!(types.insert(name, kind).is_none(), "{name} stands there twice");
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(samples.insert(sample, value.parse().unwrap()).is_none(), "{line}");
        }
    }
    (samples, types)
}

fn reading(name: &str) -> Reading {
    Reading { name: name.to_owned(), ..Reading::default() }
}

/// Of one endpoint with this name.
fn of(name: &str) -> Readings {
    Readings { endpoints: vec![reading(name)], ..Readings::default() }
}

#[test]
fn every_number_stands_under_its_name() {
    let stats = Stats {
        emitted: 36,
        delivered: 1,
        rejected: 2,
        exhausted: 3,
        skipped: 4,
        dropped: 5,
        oversize: 6,
        abandoned: 7,
        queued: 6,
        in_flight: 2,
        circuit_opens: 9,
        breaker: BreakerState::HalfOpen,
        ..Stats::default()
    };
    let mut ledger = Ledger::default();
    (ledger.stored, ledger.dead, ledger.aged_out) = (11, 12, 15);
    let readings = Readings {
        endpoints: vec![Reading {
            stats,
            panics: 10,
            ledger: Some(ledger),
            in_stream: Some(17),
            ..reading("a")
        }],
        gone: vec![("b".to_owned(), ledger)],
        file: Some(FileReading { bytes: 13, capacity_bytes: 14 }),
        input: vec![("lines", 16)],
    };
    let text = Metrics::default().text(Form::OpenMetrics, readings).unwrap();
    assert!(text.ends_with("\n# EOF\n"));
    let (samples, types) = parse(&text);
    for (fate, count) in [
        ("emitted", 36.0),
        ("delivered", 1.0),
        ("rejected", 2.0),
        ("exhausted", 3.0),
        ("skipped", 4.0),
        ("dropped", 5.0),
        ("oversize", 6.0),
        ("abandoned", 7.0),
    ] {
        let sample = format!("pilot_webhook_events_total{{endpoint=\"a\",fate=\"{fate}\"}}");
        assert_eq!(samples[&*sample], count, "{fate}");
    }
    for (sample, value) in [
        ("pilot_webhook_panics_total{endpoint=\"a\"}", 10.0),
        ("pilot_webhook_queue_events{endpoint=\"a\"}", 8.0),
        ("pilot_webhook_in_flight_events{endpoint=\"a\"}", 2.0),
        ("pilot_webhook_breaker_openings_total{endpoint=\"a\"}", 9.0),
        ("pilot_webhook_breaker_state{endpoint=\"a\",state=\"half-open\"}", 1.0),
        ("pilot_webhook_breaker_state{endpoint=\"a\",state=\"closed\"}", 0.0),
        ("pilot_webhook_outbox_events{endpoint=\"a\"}", 11.0),
        ("pilot_webhook_dead_letters{endpoint=\"a\"}", 12.0),
        ("pilot_webhook_outbox_events{endpoint=\"b\"}", 11.0),
        ("pilot_webhook_outbox_lost_total{endpoint=\"a\",cause=\"aged-out\"}", 15.0),
        ("pilot_webhook_outbox_lost_total{endpoint=\"a\",cause=\"dropped\"}", 0.0),
        ("pilot_webhook_paused{endpoint=\"a\"}", 0.0),
        ("pilot_webhook_outbox_bytes", 13.0),
        ("pilot_webhook_stream_messages{endpoint=\"a\"}", 17.0),
        ("pilot_webhook_input_total{kind=\"lines\"}", 16.0),
        ("pilot_webhook_outbox_capacity_bytes", 14.0),
        ("pilot_webhook_oldest_event_age_seconds{endpoint=\"a\"}", 0.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample}\n{text}");
    }
    assert_eq!(types["pilot_webhook_attempt_duration_seconds"], "histogram");
    assert_eq!(types["pilot_webhook_events"], "counter");
}

#[test]
fn without_endpoints_and_outbox_there_is_little_to_say() {
    for form in [Form::OpenMetrics, Form::Prometheus] {
        let text = Metrics::default().text(form, Readings::default()).unwrap();
        let (samples, types) = parse(&text);
        assert_eq!(samples.len(), 2, "{samples:?}");
        assert!(types.len() > 15);
        assert!(!text.contains("outbox") && !text.contains("stream"));
        assert!(samples["process_start_time_seconds"] > 1.7e9);
    }
}

fn attempt(recorded: &Recorded, result: Result<Reply, &dyn TransportError>, took: Duration) {
    recorded.attempt(&result, took);
}

#[test]
fn attempts_are_counted_by_how_they_ended() {
    let metrics = Metrics::default();
    let hook = metrics.hook("a");
    let recorded = metrics.recorded.lock().unwrap()["a"].upgrade().unwrap();
    let reply = |code| Ok(Reply { verdict: pilot_webhook_core::Verdict::Refused, code });
    let millis = Duration::from_millis;
    for code in [200, 299, 302, 404, 500, 599, 600, 199] {
        attempt(&recorded, reply(code), millis(20));
    }
    for kind in [
        ErrorKind::Resolve,
        ErrorKind::Refused,
        ErrorKind::Connect,
        ErrorKind::Tls,
        ErrorKind::Timeout,
        ErrorKind::Disconnected,
        ErrorKind::Protocol,
        ErrorKind::Local,
    ] {
        attempt(&recorded, Err(&kind), millis(200));
    }
    let text = metrics.text(Form::Prometheus, of("a")).unwrap();
    let (samples, _) = parse(&text);
    for (class, expected) in
        recorded::CLASSES.into_iter().zip([2, 1, 1, 2, 2].into_iter().chain([1; 8]))
    {
        let sample = format!("pilot_webhook_attempts_total{{endpoint=\"a\",class=\"{class}\"}}");
        assert_eq!(samples[&*sample], f64::from(expected), "{class}");
    }
    let bucket = |le: &str| {
        samples[&*format!(
            "pilot_webhook_attempt_duration_seconds_bucket{{endpoint=\"a\",le=\"{le}\"}}"
        )]
    };
    assert_eq!(
        (bucket("0.01"), bucket("0.025"), bucket("0.25"), bucket("+Inf")),
        (0.0, 8.0, 16.0, 16.0)
    );
    drop(hook);
}

#[test]
fn the_numbers_of_an_endpoint_go_on_with_another_client_and_end_with_the_last() {
    let metrics = Metrics::default();
    let attempts = |metrics: &Metrics| {
        let text = metrics.text(Form::OpenMetrics, of("a")).unwrap();
        parse(&text).0["pilot_webhook_attempts_total{endpoint=\"a\",class=\"local\"}"]
    };
    let first = metrics.hook("a");
    metrics.recorded.lock().unwrap()["a"]
        .upgrade()
        .unwrap()
        .attempt(&Err(&ErrorKind::Local), Duration::ZERO);
    let second = metrics.hook("a");
    drop(first);
    assert_eq!(attempts(&metrics), 1.0);
    drop(second);
    assert_eq!(attempts(&metrics), 0.0);
    // Those that are gone do not pile up.
    (0..1000).for_each(|n| drop(metrics.hook(&format!("gone {n}"))));
    assert!(metrics.recorded.lock().unwrap().len() < 10);
}

#[test]
fn a_name_that_would_be_another_sample_stays_a_name() {
    let name = "a\"} 1\n# EOF\nb\\";
    let text = Metrics::default().text(Form::OpenMetrics, of(name)).unwrap();
    assert!(text.contains(r#"panics_total{endpoint="a\"} 1\n# EOF\nb\\"} 0"#), "{text}");
    assert_eq!(text.lines().filter(|line| *line == "# EOF").count(), 1);
}

#[test]
fn who_names_openmetrics_gets_it() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    assert_eq!(Form::accepted(prometheus), Form::OpenMetrics);
    for other in ["", "*/*", "text/plain", "application/openmetrics-textual"] {
        assert_eq!(Form::accepted(other), Form::Prometheus, "{other}");
    }
}

/// Measured without optimisation: 0.4 s. With it, the same samples take 45 to 70 ms.
#[test]
fn a_thousand_endpoints_are_told_at_once() {
    let metrics = Metrics::default();
    let names: Vec<_> = (0..1_000).map(|n| format!("endpoint-{n}")).collect();
    let hooks: Vec<_> = names.iter().map(|name| metrics.hook(name)).collect();
    let begin = Instant::now();
    let endpoints = names.iter().map(|name| reading(name)).collect();
    let readings = Readings { endpoints, ..Readings::default() };
    let text = metrics.text(Form::OpenMetrics, readings).unwrap();
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(text.lines().filter(|line| line.contains("fate=\"emitted\"")).count(), 1_000);
    drop(hooks);
}
