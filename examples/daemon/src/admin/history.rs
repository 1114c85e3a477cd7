//! What the page remembers of endpoints: the last attempts, and how busy they were. Bounded in all.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pilot_webhook_core::{Notice, Reply, Verdict};

/// Attempts that are remembered of an endpoint, at most.
pub(super) const ATTEMPTS: usize = 100;
/// Attempts that must all have failed for an endpoint to be failing. Arbitrary: more than one event has by default, so that
/// an event that nobody takes is not enough where others are delivered.
const LAST: usize = 5;
/// Looks at an endpoint that are remembered: one a second.
pub(super) const SAMPLES: usize = 90;
/// What attempts of all endpoints may take together, in bytes of their texts. Each endpoint has an equal share.
const BYTES: usize = 8 * 1024 * 1024;
/// The greatest share. Arbitrary: 100 attempts with bodies of 4 KiB.
const SHARE_MAX: usize = 512 * 1024;
/// The smallest share: an attempt finds room in it.
const SHARE_MIN: usize = 2 * 1024;
/// The longest body that is remembered whole.
const BODY_MAX: usize = 16 * 1024;
/// The longest answer that is remembered.
pub(super) const ANSWER_MAX: usize = 2 * 1024;
/// The longest topic that is remembered.
const TOPIC_MAX: usize = 256;
/// The longest error that is remembered.
const ERROR_MAX: usize = 512;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome<'a> {
    /// With an answer, which took the message or did not.
    Answer { status: u16, is_accepted: bool },
    /// Without one, for this reason.
    Error(&'a str),
}

/// An attempt, as it is told.
#[derive(Clone, Copy, Debug)]
struct Told<'a> {
    /// When it ended.
    at: Timestamp,
    event_id: u64,
    /// The first event's, as it stands in a JSON string.
    topic: &'a str,
    /// In one message.
    events: u32,
    /// Its number, from 1.
    attempt: u8,
    is_probe: bool,
    took: Duration,
    outcome: Outcome<'a>,
    /// The beginning of the answer's body.
    answer: &'a [u8],
    /// The message's body.
    body: &'a [u8],
}

/// A text of which only the beginning may be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) bytes: Box<[u8]>,
    pub(super) is_cut: bool,
}

impl Cut {
    /// The first `limit` bytes.
    pub(super) fn new(bytes: &[u8], limit: usize) -> Self {
        let is_cut = bytes.len() > limit;
        Self { bytes: bytes[..bytes.len().min(limit)].into(), is_cut }
    }
}

/// An attempt, as it is remembered.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The attempts are numbered, from 1; those of all endpoints together, so that one that comes back goes on.
    pub(super) number: u64,
    pub(super) at: Timestamp,
    pub(super) event_id: u64,
    pub(super) topic: Cut,
    pub(super) events: u32,
    pub(super) attempt: u8,
    pub(super) is_probe: bool,
    pub(super) took: Duration,
    /// The answer's, if there was one.
    pub(super) status: Option<u16>,
    pub(super) is_accepted: bool,
    /// Why there was none.
    pub(super) error: Cut,
    pub(super) answer: Cut,
    pub(super) body: Cut,
}

impl Attempt {
    fn size(&self) -> usize {
        size_of::<Self>()
            + self.topic.bytes.len()
            + self.error.bytes.len()
            + self.answer.bytes.len()
            + self.body.bytes.len()
    }
}

/// How an endpoint was in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) delivered: u32,
    /// Attempts that ended.
    pub(super) attempts: u32,
    /// All of them took so long together, in microseconds.
    pub(super) micros: u32,
    /// Events that waited or were in flight, at its end.
    pub(super) waiting: u32,
}

/// What is remembered of all endpoints, by their names.
#[derive(Default)]
pub(crate) struct Histories {
    all: Mutex<HashMap<String, Arc<History>>>,
    common: Arc<Common>,
}

/// What the histories of all endpoints have in common.
#[derive(Default)]
struct Common {
    /// How many share the memory.
    endpoints: AtomicUsize,
    /// The number of the newest attempt.
    newest: AtomicU64,
}

impl Common {
    /// The bytes that one endpoint may have.
    fn share(&self) -> usize {
        (BYTES / self.endpoints.load(Relaxed).max(1)).clamp(SHARE_MIN, SHARE_MAX)
    }
}

impl Histories {
    /// Of the endpoint with this name; a new one, where there is none.
    pub(crate) fn of(&self, name: &str) -> Arc<History> {
        let mut all = lock(&self.all);
        if let Some(history) = all.get(name) {
            return Arc::clone(history);
        }
        let history = Arc::new(History { common: Arc::clone(&self.common), ..History::default() });
        all.insert(name.to_owned(), Arc::clone(&history));
        self.common.endpoints.store(all.len(), Relaxed);
        history
    }

    /// Forgets the endpoints that are not among these names.
    pub(super) fn keep(&self, is_there: impl Fn(&str) -> bool) {
        let mut all = lock(&self.all);
        all.retain(|name, _| is_there(name));
        self.common.endpoints.store(all.len(), Relaxed);
    }
}

/// What is remembered of an endpoint.
#[derive(Default)]
pub(crate) struct History {
    common: Arc<Common>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    attempts: VecDeque<Attempt>,
    bytes: usize,
    samples: VecDeque<Sample>,
    /// Since the last sample.
    running: Sample,
    /// Delivered, at the last sample.
    delivered: u64,
}

impl Memory {
    /// Forgets the oldest attempts beyond these bytes.
    fn trim(&mut self, share: usize) {
        while self.attempts.len() > ATTEMPTS || self.bytes > share {
            let Some(oldest) = self.attempts.pop_front() else { break };
            self.bytes -= oldest.size();
        }
    }
}

impl History {
    /// Remembers the attempts among the notices of a client.
    pub(crate) fn hook(self: Arc<Self>) -> impl Fn(&Notice<'_>) + Send + Sync + 'static {
        move |notice| self.notice(notice)
    }

    fn notice(&self, notice: &Notice<'_>) {
        let Notice::Attempt {
            event_id,
            events,
            attempt,
            is_probe,
            result,
            message,
            contents,
            took,
            ended,
            answer,
        } = *notice
        else {
            return;
        };
        let error;
        let outcome = match result {
            Ok(Reply { code, verdict, .. }) => {
                Outcome::Answer { status: code, is_accepted: verdict == Verdict::Accepted }
            }
            Err(reason) => {
                error = reason.to_string();
                Outcome::Error(&error)
            }
        };
        let nanos = i32::try_from(ended.nanos()).unwrap_or(0);
        let topic = contents.iter().next().map_or("", |event| event.topic.as_str());
        self.attempted(&Told {
            at: Timestamp::new(ended.seconds(), nanos).unwrap_or_default(),
            event_id,
            topic: topic.trim_matches('"'),
            events,
            attempt,
            is_probe,
            took,
            outcome,
            answer,
            body: message.body,
        });
    }

    /// Remembers an attempt, and forgets the oldest ones for it.
    fn attempted(&self, told: &Told<'_>) {
        let share = self.common.share();
        let (status, is_accepted, error) = match told.outcome {
            Outcome::Answer { status, is_accepted } => (Some(status), is_accepted, ""),
            Outcome::Error(error) => (None, false, error),
        };
        let mut memory = lock(&self.memory);
        let attempt = Attempt {
            number: self.common.newest.fetch_add(1, Relaxed) + 1,
            at: told.at,
            event_id: told.event_id,
            topic: Cut::new(told.topic.as_bytes(), TOPIC_MAX),
            events: told.events,
            attempt: told.attempt,
            is_probe: told.is_probe,
            took: told.took,
            status,
            is_accepted,
            error: Cut::new(error.as_bytes(), ERROR_MAX),
            answer: Cut::new(told.answer, ANSWER_MAX.min(share / 4)),
            body: Cut::new(told.body, BODY_MAX.min(share / 4)),
        };
        memory.running.attempts = memory.running.attempts.saturating_add(1);
        let micros = u32::try_from(told.took.as_micros()).unwrap_or(u32::MAX);
        memory.running.micros = memory.running.micros.saturating_add(micros);
        memory.bytes += attempt.size();
        memory.attempts.push_back(attempt);
        memory.trim(share);
    }

    /// Ends a second: so many were delivered until then, and so many wait. The share of the memory may have become smaller.
    pub(super) fn sample(&self, delivered: u64, waiting: u64) {
        let mut memory = lock(&self.memory);
        memory.trim(self.common.share());
        let since = delivered.saturating_sub(memory.delivered);
        let sample = Sample {
            delivered: u32::try_from(since).unwrap_or(u32::MAX),
            waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
            ..std::mem::take(&mut memory.running)
        };
        memory.delivered = delivered;
        if memory.samples.len() == SAMPLES {
            memory.samples.pop_front();
        }
        memory.samples.push_back(sample);
    }

    /// Whether there were attempts, and none of the last ones brought a success.
    pub(super) fn has_failed(&self) -> bool {
        let memory = lock(&self.memory);
        let mut last = memory.attempts.iter().rev().take(LAST).peekable();
        last.peek().is_some() && last.all(|attempt| !attempt.is_accepted)
    }

    /// The last seconds, oldest first.
    pub(super) fn samples(&self) -> Vec<Sample> {
        lock(&self.memory).samples.iter().copied().collect()
    }

    /// The attempts behind the one with this number, oldest first.
    pub(super) fn attempts(&self, after: u64) -> Vec<Attempt> {
        let memory = lock(&self.memory);
        memory.attempts.iter().filter(|attempt| attempt.number > after).cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
