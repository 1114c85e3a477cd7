//! What is shown of an endpoint and of an attempt, as texts. The page's templates and its script show the same ones.

use std::collections::BTreeMap;
use std::time::Duration;

use pilot_webhook_std::{HubEndpoint, Stats};
use serde::Serialize;

use super::super::condition::Condition;
use super::super::history::{Attempt, Cut, History, SAMPLES, Sample};
use super::chart::path;

/// Over so many seconds the numbers beside a chart are taken.
const RECENT: usize = 10;
/// The least top of a chart of latency: in seconds, so that a few microseconds are no mountain.
const LEAST_LATENCY: f64 = 0.001;

/// An endpoint, as texts by the places that they stand in.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Card {
    pub(super) name: String,
    pub(super) state: Condition,
    pub(super) is_paused: bool,
    pub(super) fields: BTreeMap<&'static str, String>,
    pub(super) charts: BTreeMap<&'static str, String>,
}

impl Card {
    pub(super) fn new(endpoint: &HubEndpoint, history: &History) -> Self {
        let (stats, samples) = (endpoint.stats(), history.samples());
        let state = Condition::of(endpoint, history);
        let recent = &samples[samples.len().saturating_sub(RECENT)..];
        let fields = BTreeMap::from([
            ("state", state.words().to_owned()),
            ("target", endpoint.client().target().map_or_else(String::new, |it| it.origin())),
            ("rate", rate(recent)),
            ("latency", latency(recent)),
            ("waiting", endpoint.waiting().to_string()),
            ("delivered", stats.delivered.to_string()),
            ("lost", lost(&stats).to_string()),
            ("letters", endpoint.dead().to_string()),
            ("attempts", stats.attempts.to_string()),
            ("opens", stats.circuit_opens.to_string()),
            ("status", status(stats.last_status)),
        ]);
        let chart = |least, value: fn(&Sample) -> Option<f64>| {
            path(&samples.iter().map(value).collect::<Vec<_>>(), SAMPLES, least)
        };
        let charts = BTreeMap::from([
            ("rate", chart(1.0, |sample| Some(sample.delivered.into()))),
            ("latency", chart(LEAST_LATENCY, |sample| mean(std::slice::from_ref(sample)))),
            ("waiting", chart(1.0, |sample| Some(sample.waiting.into()))),
        ]);
        let is_paused = endpoint.is_paused();
        Self { name: endpoint.name().to_owned(), state, is_paused, fields, charts }
    }

    /// The text of a place.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// Events that are not delivered, and will not be.
const fn lost(stats: &Stats) -> u64 {
    stats.rejected
        + stats.exhausted
        + stats.skipped
        + stats.dropped
        + stats.oversize
        + stats.abandoned
}

fn status(status: u16) -> String {
    if status == 0 { "none".to_owned() } else { status.to_string() }
}

#[allow(clippy::cast_precision_loss, reason = "ten at most")]
fn rate(recent: &[Sample]) -> String {
    let sum: f64 = recent.iter().map(|sample| f64::from(sample.delivered)).sum();
    match sum / recent.len().max(1) as f64 {
        0.0 => "0/s".to_owned(),
        rate if rate < 100.0 => format!("{rate:.1}/s"),
        rate => format!("{rate:.0}/s"),
    }
}

/// The middle time of an attempt, in seconds.
fn mean(samples: &[Sample]) -> Option<f64> {
    let attempts: f64 = samples.iter().map(|sample| f64::from(sample.attempts)).sum();
    let micros: f64 = samples.iter().map(|sample| f64::from(sample.micros)).sum();
    (attempts > 0.0).then(|| micros / attempts / 1e6)
}

fn latency(recent: &[Sample]) -> String {
    mean(recent)
        .map_or_else(|| "no attempts".to_owned(), |mean| time(Duration::from_secs_f64(mean)))
}

/// A time in a unit that suits it.
fn time(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    match millis {
        _ if millis < 10.0 => format!("{millis:.1} ms"),
        _ if millis < 1e3 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1e3),
    }
}

/// An attempt, as texts by the places that they stand in.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) number: u64,
    /// `good` or `bad`, which its colour goes by.
    pub(super) state: &'static str,
    pub(super) fields: BTreeMap<&'static str, String>,
}

impl Row {
    pub(super) fn new(attempt: &Attempt) -> Self {
        let outcome = match attempt.status {
            Some(status) => status.to_string(),
            None => shown(&attempt.error),
        };
        let what = match attempt.events {
            0 | 1 => format!("event {}", attempt.event_id),
            events => format!("event {} and {} more", attempt.event_id, events - 1),
        };
        let probe = if attempt.is_probe { ", a probe" } else { "" };
        let fields = BTreeMap::from([
            ("at", format!("{:.3}", attempt.at)),
            ("topic", shown(&attempt.topic)),
            ("what", what),
            ("attempt", format!("attempt {}{probe}", attempt.attempt)),
            ("outcome", outcome),
            ("took", time(attempt.took)),
            ("answer", shown(&attempt.answer)),
            ("body", shown(&attempt.body)),
        ]);
        let state = if attempt.is_accepted { "good" } else { "bad" };
        Self { number: attempt.number, state, fields }
    }

    /// A row without texts, which the script fills in.
    pub(super) fn empty() -> Self {
        Self { number: 0, state: "", fields: BTreeMap::new() }
    }

    /// The text of a place.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// As [`harmless`], of bytes, with a word where they are cut.
pub(super) fn shown(cut: &Cut) -> String {
    let mut text = harmless(&String::from_utf8_lossy(&cut.bytes));
    if cut.is_cut {
        text.push_str(" [cut]");
    }
    text
}

/// Text in which every character only stands there: what controls something, or turns the direction of writing, is
/// shown as U+FFFD. The templates and the script see to the rest: for them all is text.
pub(super) fn harmless(text: &str) -> String {
    let acts = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if acts(c) { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_rates_are_short() {
        assert_eq!(time(Duration::from_micros(860)), "0.9 ms");
        assert_eq!(time(Duration::from_millis(12)), "12 ms");
        assert_eq!(time(Duration::from_millis(5_010)), "5.0 s");
        let sample = Sample { delivered: 7, attempts: 2, micros: 3_000, waiting: 0 };
        assert_eq!(rate(&[sample, Sample::default()]), "3.5/s");
        assert_eq!(rate(&[]), "0/s");
        assert_eq!(latency(&[sample, Sample::default()]), "1.5 ms");
        assert_eq!(latency(&[]), "no attempts");
    }

    #[test]
    fn nothing_in_a_text_acts() {
        assert_eq!(harmless("a\u{202E}b\u{1b}[2J\r\n\tc"), "a\u{FFFD}b\u{FFFD}[2J\u{FFFD}\n\tc");
        let cut = Cut { bytes: Box::from(&b"\xffab"[..]), is_cut: true };
        assert_eq!(shown(&cut), "\u{FFFD}ab [cut]");
    }
}
