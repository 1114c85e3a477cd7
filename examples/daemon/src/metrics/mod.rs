//! The numbers of the endpoints as metrics, in the text forms that Prometheus reads.
//!
//! Most of them are read when somebody asks ([`Reading`]). Only what the attempts say is counted as they end
//! ([`Recorded`]). `docs/operations.md` has each metric with its unit.

mod families;
mod reading;
mod recorded;

pub(crate) use reading::{FileReading, Reading, Readings};

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use pilot_webhook_core::Notice;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

use families::Families;
use recorded::Recorded;

/// A text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own, 0.0.4.
    Prometheus,
}

impl Form {
    /// The form that who sends this `Accept` wants: OpenMetrics if it names that, as Prometheus does. All others get
    /// Prometheus' own form, which `promtool check metrics` takes, too.
    pub(crate) fn accepted(accept: &str) -> Self {
        let names = |range: &str| {
            let name = range.split(';').next().unwrap_or_default().trim();
            name.eq_ignore_ascii_case("application/openmetrics-text")
        };
        if accept.split(',').any(names) { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The `Content-Type` of it.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// What is counted of all endpoints, from the start of the process on.
pub(crate) struct Metrics {
    start: SystemTime,
    /// What is counted of each endpoint, as long as a hook of it is there.
    recorded: Mutex<HashMap<String, Weak<Recorded>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { start: SystemTime::now(), recorded: Mutex::default() }
    }
}

impl Metrics {
    /// What the client of an endpoint is to call with its notices. The numbers of an endpoint go on when another client
    /// takes the place of one that still lives.
    pub(crate) fn hook(&self, endpoint: &str) -> impl Fn(&Notice<'_>) + Send + Sync + use<> {
        let mut all = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        // Not for each of many that are added at once.
        if all.len() == all.capacity() {
            all.retain(|_, recorded| recorded.strong_count() > 0);
        }
        let recorded = all.get(endpoint).and_then(Weak::upgrade).unwrap_or_else(|| {
            let recorded = Arc::<Recorded>::default();
            all.insert(endpoint.to_owned(), Arc::downgrade(&recorded));
            recorded
        });
        move |notice| recorded.notice(notice)
    }

    /// All metrics, as text. For a thousand endpoints it takes 50 to 70 ms, and the text has 5 MB: not for a thread that delivers.
    pub(crate) fn text(&self, form: Form, readings: Readings) -> Result<String, fmt::Error> {
        let all = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let with_recorded = |reading: Reading| {
            let recorded = all.get(&reading.name).and_then(Weak::upgrade);
            (reading, recorded.unwrap_or_default())
        };
        let endpoints = readings.endpoints.into_iter().map(with_recorded).collect();
        drop(all);
        let since_epoch = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let families = Families {
            start: since_epoch(self.start),
            now: since_epoch(SystemTime::now()),
            endpoints,
            gone: readings.gone,
            file: readings.file,
            input: readings.input,
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(families));
        let mut text = String::new();
        match form {
            Form::OpenMetrics => text::encode(&mut text, &registry)?,
            Form::Prometheus => prometheus_text::encode(&mut text, &registry)?,
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
