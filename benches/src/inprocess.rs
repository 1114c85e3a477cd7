//! The engine in this process over a receiver in memory: what `core` costs without any I/O.

use std::time::Instant;

use pilot_webhook_core::{
    Clock as _, Config, Dispatcher, EndpointBuf, ErrorKind, Event, Policy, Request, Response,
    Transport, run,
};
use pilot_webhook_std::{StdRawMutex, TokioClock};
use tokio::runtime::Runtime;

use crate::Result;
use crate::events::{DATA, TOPIC};

/// The longest event, in bytes.
const LONGEST: usize = 1_024;

/// Answers 204 at once.
struct Memory;

impl Transport for Memory {
    type Error = ErrorKind;

    async fn post(&mut self, _request: &Request<'_>) -> std::result::Result<Response, ErrorKind> {
        Ok(Response::status(204))
    }
}

/// An engine with a queue of so many events.
pub(crate) struct Engine {
    dispatcher: Dispatcher<StdRawMutex, Box<[u8]>>,
    clock: TokioClock,
    runtime: Runtime,
    scratch: Vec<u8>,
}

impl Engine {
    pub(crate) fn new(capacity: u32) -> Result<Self> {
        let config = Config { capacity, max_event_bytes: LONGEST, ..Config::DEFAULT };
        // Room for so many events and their headers, as `is_full` counts events.
        let buffer = vec![0; usize::try_from(capacity)? * 256].into_boxed_slice();
        let dispatcher = Dispatcher::new(config, buffer);
        let endpoint = EndpointBuf::parse("http://127.0.0.1/hook", Policy::default())
            .map_err(|error| error.to_string())?;
        dispatcher.swap(endpoint)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { dispatcher, clock: TokioClock::new(), runtime, scratch: vec![0; LONGEST] })
    }

    /// Nanoseconds for each of so many events to be emitted and delivered.
    #[allow(clippy::cast_precision_loss, reason = "a count of some million")]
    pub(crate) fn deliver(mut self, events: u64) -> Result<f64> {
        let (dispatcher, clock) = (&self.dispatcher, &self.clock);
        let mut body = vec![0; LONGEST];
        let scratch = &mut self.scratch;
        let (mut transport, mut observer) = (Memory, ());
        let emit = async {
            for _ in 0..events {
                let event = Event { topic: TOPIC, node_id: 1, timestamp: clock.wall() };
                if dispatcher.emit_when_room(&event, &DATA, scratch).await.is_err() {
                    break;
                }
            }
            dispatcher.drained().await;
            dispatcher.close(clock.now());
        };
        let start = Instant::now();
        self.runtime.block_on(async {
            let deliver = run(dispatcher, &mut transport, clock, &mut observer, &mut body);
            tokio::join!(emit, deliver)
        });
        let time = start.elapsed();
        if dispatcher.stats().delivered != events {
            return Err(format!("of {events}: {:?}", dispatcher.stats()).into());
        }
        Ok(time.as_secs_f64() * 1e9 / events as f64)
    }
}
