//! The engine in this process over a receiver in memory: what `core` costs without any I/O.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Instant;

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Clock as _, Config, Dispatcher, Encoding, EndpointBuf, ErrorKind, Event, Message, PilotFormat,
    Policy, Reply, Transport, run,
};
use pilot_webhook_std::{StdRawMutex, TokioClock};
use tokio::runtime::Runtime;

use crate::Result;
use crate::events::{DATA, TOPIC};

/// The longest event, in bytes.
const LONGEST: usize = 1_024;
/// Bytes of queue for an event: its payload and its header.
const ENTRY: usize = 192;

/// Answers 204 at once.
struct Memory;

impl Transport<EndpointBuf<256>> for Memory {
    type Error = ErrorKind;

    async fn send(
        &mut self,
        _: &EndpointBuf<256>,
        _: &Message<'_>,
    ) -> std::result::Result<Reply, ErrorKind> {
        Ok(Response::status(204).into())
    }
}

/// An engine with a queue of its own.
pub struct Engine {
    dispatcher: Dispatcher<StdRawMutex, Box<[u8]>>,
    clock: TokioClock,
    runtime: Runtime,
    scratch: Vec<u8>,
    buffer: Vec<u8>,
}

impl Engine {
    /// One whose queue holds so many events.
    ///
    /// # Errors
    /// When there is no runtime to be had.
    pub fn new(capacity: u32) -> Result<Self> {
        let config = Config { capacity, max_event_bytes: LONGEST, ..Config::DEFAULT };
        let length = usize::try_from(capacity)? * ENTRY;
        let buffer = vec![0; length.max(2 * LONGEST)].into_boxed_slice();
        let dispatcher = Dispatcher::new(config, buffer, 1);
        let endpoint = EndpointBuf::parse("http://127.0.0.1/hook", Policy::default())
            .map_err(|error| error.to_string())?;
        dispatcher.swap(endpoint)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (scratch, buffer) = (vec![0; LONGEST], vec![0; PilotFormat::BOUND.buffer(1, LONGEST)]);
        Ok(Self { dispatcher, clock: TokioClock::new(), runtime, scratch, buffer })
    }

    /// Emits one event.
    ///
    /// # Errors
    /// When there is no room.
    pub fn emit(&mut self) -> Result<()> {
        let event = Event::new(TOPIC, 1, self.clock.wall());
        self.dispatcher.emit(&event, &DATA, &mut self.scratch)?;
        Ok(())
    }

    /// Delivers all that is queued; says how many have been delivered so far.
    pub fn deliver(&mut self) -> u64 {
        let Self { dispatcher, clock, runtime, buffer, .. } = self;
        let _guard = runtime.enter();
        let mut transport = Memory;
        let encoding = Encoding::PILOT;
        let mut worker = pin!(run(dispatcher, &mut transport, clock, encoding, buffer));
        // The receiver answers at once, so the worker comes to rest when nothing is queued.
        let _ = worker.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        dispatcher.stats().delivered
    }

    /// Emits and delivers so many events, as fast as the queue lets them through; says how many
    /// nanoseconds each of them took.
    ///
    /// # Errors
    /// When one of them is not delivered.
    #[allow(clippy::cast_precision_loss, reason = "a count of some million")]
    pub fn pass(mut self, events: u64) -> Result<f64> {
        let (dispatcher, clock) = (&self.dispatcher, &self.clock);
        let (scratch, buffer) = (&mut self.scratch, &mut self.buffer);
        let mut transport = Memory;
        let emit = async {
            for _ in 0..events {
                let event = Event::new(TOPIC, 1, clock.wall());
                if dispatcher.emit_when_room(&event, &DATA, scratch).await.is_err() {
                    break;
                }
            }
            dispatcher.drained().await;
            dispatcher.close(clock.now());
        };
        let start = Instant::now();
        self.runtime.block_on(async {
            let worker = run(dispatcher, &mut transport, clock, Encoding::PILOT, buffer);
            tokio::join!(emit, worker)
        });
        let time = start.elapsed();
        if dispatcher.stats().delivered != events {
            return Err(format!("of {events}: {:?}", dispatcher.stats()).into());
        }
        Ok(time.as_secs_f64() * 1e9 / events as f64)
    }
}
