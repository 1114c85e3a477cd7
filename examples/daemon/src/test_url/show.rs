//! An outcome as text and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use hyper::StatusCode;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{End, Outcome, TOPIC, advice};

/// How the names of signatures begin or end, in lower case.
const SIGNATURES: [&str; 2] = ["x-pilot-signature-256", "webhook-signature"];

/// Several lines: what was done, and what came of it.
pub(super) fn text(outcome: &Outcome) -> String {
    let Outcome { origin, report, certificate, .. } = outcome;
    let mut lines = format!("{origin}: one event, {TOPIC}");
    let mut line = |name: &str, value: &str| {
        // A string takes everything.
        let _ = write!(lines, "\n  {name:<12} {value}");
    };
    if let (Some(address), Some(connected)) = (report.address, report.connected) {
        line("address", &format!("{address}, connected after {}", millis(connected)));
    }
    if let (Some(version), Some(secured)) = (report.tls_version, report.secured) {
        line("TLS", &format!("{version}, after {}", millis(secured)));
    }
    if let Some(certificate) = certificate {
        line("certificate", &certificate.subject);
        line("issuer", &certificate.issuer);
        let day = |time: jiff::Timestamp| TimeZone::UTC.to_datetime(time).date();
        let (from, until) = (day(certificate.valid_from), day(certificate.valid_until));
        line("valid", &format!("from {from} until {until}"));
    }
    for (name, value) in &report.headers {
        line("header", &format!("{name}: {value}"));
    }
    if !is_signed(outcome) {
        line("signature", "none: --secret-file signs");
    }
    let took = millis(report.took);
    match &outcome.end {
        End::Answer(reply) => line("answer", &format!("{}, after {took}", status(reply.code))),
        End::Fault { .. } | End::Silence => line("answer", &format!("none, after {took}")),
    }
    if outcome.is_accepted() {
        lines.push_str("\naccepted");
    }
    lines
}

/// The same, and the advice, in one line of JSON.
pub(super) fn json(outcome: &Outcome) -> String {
    let Outcome { origin, report, certificate, end, .. } = outcome;
    let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1000.0);
    let certificate = certificate.as_ref().map(|certificate| {
        json!({
            "subject": certificate.subject,
            "issuer": certificate.issuer,
            "valid_from": certificate.valid_from.to_string(),
            "valid_until": certificate.valid_until.to_string(),
        })
    });
    let headers: Map<String, Value> =
        report.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let (status, error) = match end {
        End::Answer(reply) => (Some(reply.code), None),
        End::Fault { .. } | End::Silence => (None, Some(reason(outcome))),
    };
    let advice = (!outcome.is_accepted()).then(|| advice(outcome));
    json!({
        "webhook": origin,
        "accepted": outcome.is_accepted(),
        "status": status,
        "error": error,
        "advice": advice,
        "address": report.address.map(|address| address.to_string()),
        "tls_version": report.tls_version,
        "certificate": certificate,
        "headers": headers,
        "resolved_ms": millis(report.resolved),
        "connected_ms": millis(report.connected),
        "secured_ms": millis(report.secured),
        "took_ms": millis(Some(report.took)),
    })
    .to_string()
}

/// Why it was not accepted, and what to mend.
pub(super) fn verdict(outcome: &Outcome) -> String {
    format!("not accepted: {}; {}", reason(outcome), advice(outcome))
}

fn reason(outcome: &Outcome) -> String {
    match &outcome.end {
        End::Answer(reply) => format!("the receiver answered {}", status(reply.code)),
        End::Fault { reason, .. } => reason.clone(),
        End::Silence => format!("no answer within {:?}", outcome.timeout),
    }
}

fn advice(outcome: &Outcome) -> &'static str {
    let is_https = outcome.origin.starts_with("https:");
    match &outcome.end {
        End::Answer(reply) => advice::of_status(reply.code, is_https),
        End::Fault { advice, .. } => advice,
        End::Silence => advice::of_silence(&outcome.report, is_https),
    }
}

fn is_signed(outcome: &Outcome) -> bool {
    let mut names = outcome.report.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
    names.any(|name| SIGNATURES.contains(&name.as_str()))
}

/// With its name, if it has one.
fn status(code: u16) -> String {
    let name = StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason());
    name.map_or_else(|| code.to_string(), |name| format!("{code} {name}"))
}

fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
