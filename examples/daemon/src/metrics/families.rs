//! Each metric: its name, what is said of it, and where its numbers are.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pilot_webhook_core::{BreakerState, Timestamp};
use pilot_webhook_std::outbox::Ledger;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, EncodeMetric,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use super::reading::{FileReading, Reading};
use super::recorded::Recorded;

/// All numbers of one moment.
#[derive(Debug)]
pub(super) struct Families {
    /// When the process began, since 1970.
    pub(super) start: Duration,
    /// The time now.
    pub(super) now: Duration,
    pub(super) endpoints: Vec<(Reading, Arc<Recorded>)>,
    /// Those for which something is in the outbox, and which are not there.
    pub(super) gone: Vec<(String, Ledger)>,
    pub(super) file: Option<FileReading>,
    pub(super) input: Vec<(&'static str, u64)>,
}

impl Collector for Families {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.process(&mut out)?;
        self.events(&mut out)?;
        self.attempts(&mut out)?;
        self.queues(&mut out)?;
        self.breakers(&mut out)?;
        self.connections(&mut out)?;
        self.streams(&mut out)?;
        self.outbox(&mut out)
    }
}

impl Families {
    fn process(&self, out: &mut Out<'_>) -> fmt::Result {
        out.gauges(
            ("pilot_webhook_build_info", "The version that runs; the value is 1.", None),
            [([("version", env!("CARGO_PKG_VERSION"))], 1_u64)],
        )?;
        out.gauges(
            ("process_start_time", "When the process began, since 1970.", SECONDS),
            [(NO_LABELS, self.start.as_secs_f64())],
        )?;
        let help = "What came in, and what of it was no event or not taken.";
        let input = self.input.iter().map(|(kind, count)| ([("kind", *kind)], *count));
        out.counters(("pilot_webhook_input", help, None), input)
    }

    fn events(&self, out: &mut Out<'_>) -> fmt::Result {
        let help = "Events by what became of them; emitted: all that were handed in.";
        let fates = self.endpoints.iter().flat_map(|(of, _)| {
            let stats = &of.stats;
            let fates = [
                ("emitted", stats.emitted),
                ("delivered", stats.delivered),
                ("rejected", stats.rejected),
                ("exhausted", stats.exhausted),
                ("skipped", stats.skipped),
                ("dropped", stats.dropped),
                ("oversize", stats.oversize),
                ("abandoned", stats.abandoned),
            ];
            fates.map(|(fate, count)| ([("endpoint", &*of.name), ("fate", fate)], count))
        });
        out.counters(("pilot_webhook_events", help, None), fates)?;
        let help = "Caught panics of the delivery; each is a bug.";
        let panics = self.each(|of| of.panics);
        out.counters(("pilot_webhook_panics", help, None), panics)
    }

    fn attempts(&self, out: &mut Out<'_>) -> fmt::Result {
        let help =
            "Attempts by the class of the answer's status, or by what was wrong without an answer.";
        let classes = self.endpoints.iter().flat_map(|(of, recorded)| {
            let labels = |class| [("endpoint", &*of.name), ("class", class)];
            recorded.attempts().map(move |(class, count)| (labels(class), count))
        });
        out.counters(("pilot_webhook_attempts", help, None), classes)?;
        let durations =
            self.endpoints.iter().map(|(of, recorded)| (of.label(), &recorded.durations));
        let help = "How long attempts took, failed ones among them.";
        out.histograms(("pilot_webhook_attempt_duration", help, SECONDS), durations)?;
        let ages = self.endpoints.iter().map(|(of, recorded)| (of.label(), &recorded.ages));
        let help = "How old events were when they were delivered.";
        out.histograms(("pilot_webhook_delivery_age", help, SECONDS), ages)
    }

    fn queues(&self, out: &mut Out<'_>) -> fmt::Result {
        let help = "Events in the queue, those in flight included.";
        let held = self.each(|of| u64::from(of.stats.queued) + u64::from(of.stats.in_flight));
        out.gauges(("pilot_webhook_queue_events", help, None), held)?;
        let help = "Events that the queue holds at most.";
        let capacity = self.each(|of| u64::from(of.backlog.capacity));
        out.gauges(("pilot_webhook_queue_capacity_events", help, None), capacity)?;
        let help = "Events that are being sent, or wait for their next attempt.";
        let in_flight = self.each(|of| u64::from(of.stats.in_flight));
        out.gauges(("pilot_webhook_in_flight_events", help, None), in_flight)?;
        let help = "Room that the queue's events take.";
        let bytes = self.each(|of| of.backlog.bytes as u64);
        out.gauges(("pilot_webhook_queue", help, BYTES), bytes)?;
        let help = "Room that the queue has.";
        let bytes = self.each(|of| of.backlog.capacity_bytes as u64);
        out.gauges(("pilot_webhook_queue_capacity", help, BYTES), bytes)?;
        let help = "Age of the event that waits longest; 0 when none does.";
        let age = |then: Timestamp| {
            let then = u64::try_from(then.seconds()).unwrap_or(0);
            self.now.saturating_sub(Duration::from_secs(then)).as_secs_f64()
        };
        let ages = self.each(|of| of.oldest.map_or(0.0, age));
        out.gauges(("pilot_webhook_oldest_event_age", help, SECONDS), ages)
    }

    fn breakers(&self, out: &mut Out<'_>) -> fmt::Result {
        let help = "The breaker's state: 1 for the one that it has, 0 for the others.";
        let states = self.endpoints.iter().flat_map(|(of, _)| {
            let states = [
                ("closed", BreakerState::Closed),
                ("open", BreakerState::Open),
                ("half-open", BreakerState::HalfOpen),
                ("gone", BreakerState::Gone),
            ];
            states.map(|(name, state)| {
                let labels = [("endpoint", &*of.name), ("state", name)];
                (labels, u64::from(of.stats.breaker == state))
            })
        });
        out.gauges(("pilot_webhook_breaker_state", help, None), states)?;
        let help = "How often the breaker opened.";
        let openings = self.each(|of| u64::from(of.stats.circuit_opens));
        out.counters(("pilot_webhook_breaker_openings", help, None), openings)?;
        let help = "1 while somebody has paused it.";
        let paused = self.each(|of| u64::from(of.is_paused));
        out.gauges(("pilot_webhook_paused", help, None), paused)
    }

    fn connections(&self, out: &mut Out<'_>) -> fmt::Result {
        let help = "Connections that were made, and how often one that was kept was used again.";
        let kinds = self.endpoints.iter().flat_map(|(of, _)| {
            let kinds = [("new", of.connections.made), ("reused", of.connections.reused)];
            kinds.map(|(kind, count)| ([("endpoint", &*of.name), ("kind", kind)], count))
        });
        out.counters(("pilot_webhook_connections", help, None), kinds)?;
        let help = "Connections that are open now.";
        let open = self.each(|of| of.connections.open);
        out.gauges(("pilot_webhook_open_connections", help, None), open)
    }

    fn streams(&self, out: &mut Out<'_>) -> fmt::Result {
        let there = self.endpoints.iter();
        let mut there = there.filter_map(|(of, _)| Some((of.label(), of.in_stream?))).peekable();
        if there.peek().is_none() {
            return Ok(());
        }
        let help = "Messages that wait in the stream, and are with no gateway yet.";
        out.gauges(("pilot_webhook_stream_messages", help, None), there)
    }

    fn outbox(&self, out: &mut Out<'_>) -> fmt::Result {
        let Some(file) = self.file else { return Ok(()) };
        let ledgers = || {
            let there = self.endpoints.iter();
            let there = there.filter_map(|(of, _)| of.ledger.map(|ledger| (of.label(), ledger)));
            let gone = self.gone.iter().map(|(name, ledger)| ([("endpoint", &**name)], *ledger));
            there.chain(gone)
        };
        let help = "Events in the outbox that wait to be delivered.";
        let stored = ledgers().map(|(label, ledger)| (label, ledger.stored));
        out.gauges(("pilot_webhook_outbox_events", help, None), stored)?;
        let help = "Dead letters in the outbox.";
        let dead = ledgers().map(|(label, ledger)| (label, ledger.dead));
        out.gauges(("pilot_webhook_dead_letters", help, None), dead)?;
        let help = "Events and dead letters that the outbox let go of, over its file's whole life.";
        let lost = ledgers().flat_map(|([endpoint], ledger)| {
            let causes = [
                ("dropped", ledger.dropped),
                ("aged-out", ledger.aged_out),
                ("expired", ledger.expired),
            ];
            causes.map(|(cause, count)| ([endpoint, ("cause", cause)], count))
        });
        out.counters(("pilot_webhook_outbox_lost", help, None), lost)?;
        let help = "Room that the outbox's events take.";
        out.gauges(("pilot_webhook_outbox", help, BYTES), [(NO_LABELS, file.bytes)])?;
        let help = "Room that there is for the outbox's events.";
        out.gauges(
            ("pilot_webhook_outbox_capacity", help, BYTES),
            [(NO_LABELS, file.capacity_bytes)],
        )
    }

    /// A number of each endpoint.
    fn each<N>(&self, number: impl Fn(&Reading) -> N) -> impl Iterator<Item = (Label<'_>, N)> {
        self.endpoints.iter().map(move |(of, _)| (of.label(), number(of)))
    }
}

type Label<'a> = [(&'static str, &'a str); 1];

impl Reading {
    fn label(&self) -> Label<'_> {
        [("endpoint", &self.name)]
    }
}

const NO_LABELS: [(&str, &str); 0] = [];
const SECONDS: Option<&Unit> = Some(&Unit::Seconds);
const BYTES: Option<&Unit> = Some(&Unit::Bytes);

/// A name without its unit, what is said of it, and the unit.
type Family<'f> = (&'f str, &'f str, Option<&'f Unit>);

/// Writes families of metrics.
struct Out<'e>(DescriptorEncoder<'e>);

impl Out<'_> {
    fn counters<L: EncodeLabelSet, N: EncodeCounterValue>(
        &mut self,
        family: Family<'_>,
        numbers: impl IntoIterator<Item = (L, N)>,
    ) -> fmt::Result {
        let numbers =
            numbers.into_iter().map(|(labels, number)| (labels, ConstCounter::new(number)));
        self.family(family, MetricType::Counter, numbers)
    }

    fn gauges<L: EncodeLabelSet, N: EncodeGaugeValue>(
        &mut self,
        family: Family<'_>,
        numbers: impl IntoIterator<Item = (L, N)>,
    ) -> fmt::Result {
        let numbers = numbers.into_iter().map(|(labels, number)| (labels, ConstGauge::new(number)));
        self.family(family, MetricType::Gauge, numbers)
    }

    fn histograms<'h, L: EncodeLabelSet>(
        &mut self,
        family: Family<'_>,
        histograms: impl IntoIterator<Item = (L, &'h Histogram)>,
    ) -> fmt::Result {
        let histograms =
            histograms.into_iter().map(|(labels, histogram)| (labels, histogram.clone()));
        self.family(family, MetricType::Histogram, histograms)
    }

    fn family<L: EncodeLabelSet, M: EncodeMetric>(
        &mut self,
        (name, help, unit): Family<'_>,
        kind: MetricType,
        metrics: impl Iterator<Item = (L, M)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, metric) in metrics {
            metric.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
