//! The messages of a stream as a source of events.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use async_nats::jetstream::Message;
use pilot_webhook_core::{Clock as _, EmitError, Event, Timestamp, TraceContext};
use pilot_webhook_std::{Incoming, Source, TokioClock};
use tokio::sync::mpsc;

use crate::gateway::relay::wrap;
use crate::gateway::settle::{Held, Settled, id};
use crate::ingress::body::{BadBody, Posted, parse};
use crate::tally::Tally;

/// Yields an event for each message. A message that is none becomes a dead letter.
pub(super) struct StreamSource {
    messages: mpsc::UnboundedReceiver<Held>,
    tally: Arc<Tally>,
    topic: String,
    data: String,
    is_stored: bool,
    is_closed: bool,
}

/// What is read of a message, beside its texts.
struct Read {
    node_id: u32,
    timestamp: Timestamp,
    /// The trace that it was published in.
    trace: Option<TraceContext>,
}

/// The trace that a message was published in.
fn trace(message: &Message) -> Option<TraceContext> {
    let header = message.headers.as_ref()?.get("traceparent")?;
    TraceContext::parse(header.as_str().as_bytes())
}

impl StreamSource {
    /// The source of the messages that an endpoint's consumers take. What it has is given back when it is dropped.
    pub(super) fn new(
        messages: mpsc::UnboundedReceiver<Held>,
        tally: Arc<Tally>,
        is_stored: bool,
    ) -> Self {
        Self {
            messages,
            tally,
            topic: String::new(),
            data: String::new(),
            is_stored,
            is_closed: false,
        }
    }

    /// Reads a message; keeps its topic, and its id and body wrapped as data.
    fn read(&mut self, message: &Message) -> Result<Read, String> {
        let why = |error: &dyn Display| format!("not an event: {error}");
        let text = std::str::from_utf8(&message.payload).map_err(|_| why(&BadBody::NotUtf8))?;
        let events = parse(text.as_bytes()).map_err(|error| why(&error))?;
        let [posted] = &events[..] else {
            return Err(format!("an array of {} events: a message is one event", events.len()));
        };
        let Posted { event, node_id, timestamp, .. } = posted;
        self.topic.clear();
        self.topic.push_str(event);
        // An array of one is that one.
        let body = text.trim_ascii();
        let body = body.strip_prefix('[').and_then(|body| body.strip_suffix(']')).unwrap_or(body);
        match (id(message), message.info()) {
            (Some(id), _) => wrap(&mut self.data, id, body),
            (None, Ok(info)) => {
                let id = format!("{}-{}", info.stream, info.stream_sequence);
                wrap(&mut self.data, &id, body);
            }
            (None, Err(error)) => return Err(why(&error)),
        }
        let now = || TokioClock::new().wall();
        let (node_id, timestamp) = (node_id.unwrap_or(0), timestamp.unwrap_or_else(now));
        Ok(Read { node_id, timestamp, trace: trace(message) })
    }
}

impl Source for StreamSource {
    type Receipt = Settled;

    async fn next(&mut self) -> Option<Incoming<'_, Settled>> {
        loop {
            if self.is_closed {
                return None;
            }
            let Held { message, settled } = self.messages.recv().await?;
            match self.read(&message) {
                Ok(Read { node_id, timestamp, trace }) => {
                    let event = Event::new(&self.topic, node_id, timestamp);
                    let event = trace.map_or(event, |trace| event.with_trace(trace));
                    return Some(Incoming::new(event, &self.data).with_receipt(settled));
                }
                Err(why) => {
                    self.tally.messages.fetch_add(1, Relaxed);
                    self.tally.bad_messages.fetch_add(1, Relaxed);
                    settled.bad(why);
                }
            }
        }
    }

    fn answered(&mut self, answer: Result<Option<u64>, EmitError>) {
        self.tally.messages.fetch_add(1, Relaxed);
        // What is refused otherwise, the endpoints count.
        if matches!(answer, Ok(None) | Err(EmitError::Closed)) && !self.is_stored {
            self.tally.not_taken.fetch_add(1, Relaxed);
        }
        self.is_closed = answer == Err(EmitError::Closed);
    }

    fn unmatched(&mut self) {
        self.tally.messages.fetch_add(1, Relaxed);
        self.tally.unmatched.fetch_add(1, Relaxed);
    }
}
