//! Lines of events as a source.

use std::convert::Infallible;
use std::fmt::Display;
use std::io::{self, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use pilot_webhook_core::{Clock as _, EmitError, Event, Timestamp};
use pilot_webhook_std::outbox::Position;
use pilot_webhook_std::{Incoming, Source, Throttle, TokioClock};
use tracing::warn;

use crate::events::Lines;
use crate::ingress::FullNow;
use crate::input::Gate;
use crate::tally::Tally;

/// What becomes of lines.
pub(crate) struct LineOptions {
    /// The node of events that do not name one.
    pub(crate) node_id: u32,
    /// What becomes of events when there is no room for them.
    pub(crate) when_full: FullNow,
    /// Whether there is an outbox, and what the position in the input is called there.
    pub(crate) is_stored: bool,
    pub(crate) name: String,
    pub(crate) tally: Arc<Tally>,
}

/// Reads lines. Reading blocks, so it needs a thread of its own.
pub(crate) struct LineSource {
    lines: Lines<BufReader<Gate>>,
    clock: TokioClock,
    options: LineOptions,
    /// Set when the hub is closed: no further line is read.
    stop: Arc<AtomicBool>,
    /// The last event: its line's number, its texts, and where the next line begins.
    number: u64,
    topic: String,
    data: String,
    position: Option<String>,
    complaints: Complaints,
    failure: Option<io::Error>,
}

impl LineSource {
    pub(crate) fn new(input: Gate, options: LineOptions, stop: Arc<AtomicBool>) -> Self {
        Self {
            lines: Lines::new(BufReader::new(input)),
            clock: TokioClock::new(),
            options,
            stop,
            number: 0,
            topic: String::new(),
            data: String::new(),
            position: None,
            complaints: Complaints::default(),
            failure: None,
        }
    }

    /// Whether the input was read to its end.
    ///
    /// # Errors
    /// When reading failed.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.complaints.end();
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Reads up to the next event, and returns its node and its time.
    fn read(&mut self) -> io::Result<Option<(u32, Timestamp)>> {
        while let Some((number, line, input)) = self.lines.next_of()? {
            self.options.tally.lines.fetch_add(1, Relaxed);
            match line {
                Ok(line) => {
                    self.number = number;
                    self.topic.clear();
                    self.topic.push_str(&line.topic);
                    self.data.clear();
                    self.data.push_str(line.data());
                    let position = || input.get_ref().position(input.buffer().len());
                    self.position = if self.options.is_stored { position() } else { None };
                    let now = || self.clock.wall();
                    let node_id = line.node_id.unwrap_or(self.options.node_id);
                    return Ok(Some((node_id, line.timestamp.unwrap_or_else(now))));
                }
                Err(bad) => {
                    self.options.tally.bad_lines.fetch_add(1, Relaxed);
                    self.complaints.say(number, &bad);
                }
            }
        }
        Ok(None)
    }
}

impl Source for LineSource {
    type Receipt = Infallible;

    fn can_wait(&self) -> bool {
        self.options.is_stored || self.options.when_full.waits()
    }

    async fn next(&mut self) -> Option<Incoming<'_>> {
        let (node_id, timestamp) = self.read().unwrap_or_else(|error| {
            self.failure = Some(error);
            None
        })?;
        let incoming = Incoming::new(Event::new(&self.topic, node_id, timestamp), &self.data);
        Some(match &self.position {
            Some(text) => incoming.at(Position { source: &self.options.name, text }),
            None => incoming,
        })
    }

    fn answered(&mut self, answer: Result<Option<u64>, EmitError>) {
        let LineOptions { is_stored, tally, .. } = &self.options;
        match answer {
            // What is stored waits for a webhook in the outbox.
            Ok(None) if *is_stored => {}
            // The endpoints count them, and log that a queue is full.
            Ok(Some(_)) | Err(EmitError::Full) => {}
            Ok(None) | Err(EmitError::Closed) => {
                tally.not_taken.fetch_add(1, Relaxed);
                self.stop.fetch_or(answer.is_err(), Relaxed);
            }
            Err(error) => {
                // Without an outbox an endpoint counts it.
                tally.bad_lines.fetch_add(u64::from(*is_stored), Relaxed);
                self.complaints.say(self.number, &error);
            }
        }
    }

    fn unmatched(&mut self) {
        self.options.tally.unmatched.fetch_add(1, Relaxed);
    }
}

/// Logs bad lines: one a second, with a count of those suppressed.
#[derive(Default)]
struct Complaints(Throttle);

impl Complaints {
    fn say(&mut self, number: u64, what: &dyn Display) {
        if let Some(left_out) = self.0.admit(Instant::now()) {
            Self::say_more(left_out);
            warn!("line {number}: {what}");
        }
    }

    fn end(&mut self) {
        Self::say_more(self.0.left_out());
    }

    fn say_more(left_out: u64) {
        match left_out {
            0 => {}
            1 => warn!("1 more line is like that"),
            n => warn!("{n} more lines are like that"),
        }
    }
}
