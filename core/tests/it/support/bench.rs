//! A dispatcher whose time and workers are moved by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    After, Backoff, Config, Delivery, Dispatcher, EmitError, EndpointBuf, ErrorKind, Event, Fate,
    Instant, Next, PilotFormat, Policy, Reply, RetryAfter, Stats, Timestamp,
};

/// The longest topic and data, and a buffer that is long enough for them.
pub(crate) const TEXTS: usize = 256;
pub(crate) const BUFFER: usize = PilotFormat::BOUND.buffer(1, TEXTS);
pub(crate) const BACKOFF: Duration = Duration::from_millis(100);
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

pub(crate) type Core = Dispatcher<NoopRawMutex, Vec<u8>, EndpointBuf<64>, (), 8>;

pub(crate) fn config() -> Config {
    Config {
        backoff: Backoff { initial: BACKOFF, jitter_percent: 0 },
        circuit_threshold: 2,
        circuit_cooldown: Duration::from_secs(1),
        max_event_bytes: TEXTS,
        drain_timeout: DRAIN,
        ..Config::DEFAULT
    }
}

/// A dispatcher, the time, and what its workers hold.
pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) now: Instant,
    pub(crate) workers: Vec<Option<Delivery>>,
    /// Ids in the order of their first attempts.
    pub(crate) started: Vec<u64>,
    pub(crate) fates: BTreeMap<u64, Fate>,
}

impl Bench {
    pub(crate) fn new(config: Config, bytes: usize, workers: usize) -> Self {
        let config = Config { max_in_flight: u16::try_from(workers).unwrap(), ..config };
        let bench = Self {
            core: Core::new(config, vec![0; bytes], 1),
            now: Instant::from_micros(1),
            workers: (0..workers).map(|_| None).collect(),
            started: Vec::new(),
            fates: BTreeMap::new(),
        };
        bench.swap().unwrap();
        bench
    }

    pub(crate) fn swap(&self) -> Result<(), EmitError> {
        self.core.swap(EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap())
    }

    pub(crate) fn emit(&self, length: usize) -> Result<Option<u64>, EmitError> {
        let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
        self.core.emit(&event, "x".repeat(length).as_str(), &mut [0; TEXTS])
    }

    pub(crate) fn stats(&self) -> Stats {
        self.core.stats()
    }

    pub(crate) fn advance(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub(crate) fn is_attempting(&self, n: usize) -> bool {
        self.workers[n].is_some()
    }

    pub(crate) fn probes(&self) -> usize {
        self.workers.iter().flatten().filter(|delivery| delivery.is_probe()).count()
    }

    /// Worker `n` does whatever comes next, short of ending an attempt.
    pub(crate) fn step(&mut self, n: usize) {
        if self.workers[n].is_none()
            && let Next::Attempt(delivery) =
                self.core.next(self.now, PilotFormat::BOUND, &mut [0; BUFFER]).0
        {
            if delivery.attempt() == 1 {
                self.started.push(delivery.event_id());
            }
            self.workers[n] = Some(delivery);
        }
    }

    /// Worker `n`'s attempt ends.
    pub(crate) fn end(&mut self, n: usize, result: Result<Reply, ErrorKind>) -> After {
        let mut delivery = self.workers[n].take().unwrap();
        let after = self.core.finish(&mut delivery, result, self.now, Timestamp::UNIX_EPOCH);
        if let After::Settled(fate) = after {
            self.fates.insert(delivery.event_id(), fate);
        }
        after
    }
}

pub(crate) fn status(status: u16) -> Result<Reply, ErrorKind> {
    Ok(Response::status(status).into())
}

pub(crate) fn asking(status: u16, seconds: u64) -> Result<Reply, ErrorKind> {
    let retry_after = Some(RetryAfter::Delay(Duration::from_secs(seconds)));
    Ok(Response { status, retry_after }.into())
}

pub(crate) const REFUSED: Result<Reply, ErrorKind> = Err(ErrorKind::Connect);
