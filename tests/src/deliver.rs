//! One event through the real dispatcher, the real worker loop and a transport.

use std::future::pending;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::{
    Backoff, Clock, Config, Data, Dispatcher, Encoding, EndpointBuf, ErrorKind, Event, Message,
    PilotFormat, Reply, Secret, Signer, Stats, Timestamp, Transport, TransportError,
};
use tokio::time::timeout;

/// Anything that takes this long is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// The type of the tests' endpoints.
pub type Url = EndpointBuf<256>;

/// What happened to an event.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The counters, when it was settled.
    pub stats: Stats,
    /// How each attempt ended, as the worker saw it.
    pub attempts: Vec<Result<Reply, ErrorKind>>,
    /// From the first attempt to the end.
    pub took: Duration,
    /// The most that the transport allocated in an attempt, by the given [`Memory`].
    pub memory: usize,
}

/// Where an attempt's memory is counted.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// An attempt begins.
    pub begin: fn(),
    /// It has ended: the most that was allocated since, in bytes.
    pub peak: fn() -> usize,
}

impl Memory {
    /// Counts nothing.
    pub const UNCOUNTED: Self = Self { begin: || (), peak: || 0 };
}

/// A dispatcher's settings for one event at a time: no waits between attempts, no breaker (but for
/// a `Retry-After`), and a timeout that no busy host comes near.
pub const CONFIG: Config = Config {
    http_timeout: Duration::from_secs(30),
    backoff: Backoff { initial: Duration::ZERO, jitter_percent: 0 },
    circuit_threshold: u16::MAX,
    ..Config::DEFAULT
};

/// Delivers one event of id 1 to its end.
///
/// # Errors
/// When it has no end within a minute, or is not taken in.
pub async fn deliver<T: Transport<Url>, D: Data + ?Sized>(
    transport: &mut T,
    url: Url,
    config: Config,
    secret: Option<&str>,
    event: &Event<'_>,
    data: &D,
    memory: Memory,
) -> Result<Delivered, String> {
    let longest = config.max_event_bytes;
    let dispatcher = Dispatcher::<NoopRawMutex, _>::new(config, vec![0; longest + 64], 1);
    let secret = secret.and_then(|secret| Secret::new(secret.as_bytes()));
    let signer = secret.as_ref().map_or(&() as &dyn Signer, |secret| secret);
    dispatcher.swap(url).map_err(|error| error.to_string())?;
    let mut buffer = vec![0; PilotFormat::BOUND.buffer(1, longest)];
    dispatcher.emit(event, data, &mut buffer).map_err(|error| error.to_string())?;
    let mut recorder = Recorder { transport, memory, attempts: Vec::new(), peak: 0 };
    let clock = HostClock::new();
    let encoding = Encoding { signer, ..Encoding::PILOT };
    let work = pilot_webhook_core::run(&dispatcher, &mut recorder, &clock, encoding, &mut buffer);
    let begun = Instant::now();
    let ended = async {
        tokio::select! {
            () = work => {}
            () = dispatcher.drained() => {}
        }
    };
    let ended = timeout(STUCK, ended).await;
    let stats = dispatcher.stats();
    if ended.is_err() || !stats.is_balanced() {
        return Err(format!("stuck, or out of balance: {stats:?}"));
    }
    let took = begun.elapsed();
    Ok(Delivered { stats, took, attempts: recorder.attempts, memory: recorder.peak })
}

/// Passes posts on and remembers how they ended.
struct Recorder<'t, T> {
    transport: &'t mut T,
    memory: Memory,
    attempts: Vec<Result<Reply, ErrorKind>>,
    peak: usize,
}

impl<T: Transport<Url>> Transport<Url> for Recorder<'_, T> {
    type Error = T::Error;

    async fn send(&mut self, to: &Url, message: &Message<'_>) -> Result<Reply, T::Error> {
        // Remains if the worker drops the attempt.
        self.attempts.push(Err(ErrorKind::Timeout));
        (self.memory.begin)();
        let peak = Peak { memory: self.memory, peak: &mut self.peak };
        let result = self.transport.send(to, message).await;
        drop(peak);
        if let Some(last) = self.attempts.last_mut() {
            *last = result.as_ref().copied().map_err(TransportError::kind);
        }
        result
    }
}

/// Looks at the memory when the attempt ends, in whatever way.
struct Peak<'p> {
    memory: Memory,
    peak: &'p mut usize,
}

impl Drop for Peak<'_> {
    fn drop(&mut self) {
        *self.peak = (*self.peak).max((self.memory.peak)());
    }
}

/// This host's clocks.
#[derive(Clone, Copy, Debug)]
pub struct HostClock(tokio::time::Instant);

impl HostClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Default for HostClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for HostClock {
    fn now(&self) -> pilot_webhook_core::Instant {
        let micros = u64::try_from(self.0.elapsed().as_micros()).unwrap();
        pilot_webhook_core::Instant::from_micros(micros)
    }

    fn wall(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::new(i64::try_from(now.as_secs()).unwrap(), now.subsec_nanos())
    }

    async fn sleep_until(&self, deadline: pilot_webhook_core::Instant) {
        match self.0.checked_add(Duration::from_micros(deadline.as_micros())) {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => pending().await,
        }
    }
}
