//! The thread that reads events and hands them to the client.

use std::fmt::Display;
use std::io::{self, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use log::{info, warn};
use pilot_webhook_core::{Clock as _, EmitError, Event, Json};
use pilot_webhook_std::outbox::Position;
use pilot_webhook_std::{Client, StoreError, Throttle, TokioClock};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::Failure;
use crate::events::{Line, Lines};
use crate::input::{Gate, Input, Progress};
use crate::tally::Tally;

/// How long a stop waits for the rest of a line. Arbitrary: writers write whole lines.
const REST_OF_LINE: Duration = Duration::from_millis(100);

/// Reads lines and hands their events to the client.
pub(crate) struct Reader {
    pub(crate) client: Client,
    pub(crate) runtime: Handle,
    pub(crate) node_id: u32,
    /// Whether it waits when the queue is full, or when there is no webhook.
    pub(crate) blocks: bool,
    /// What the position in the input is called in the outbox.
    pub(crate) name: String,
    /// Changes when the webhook may have changed.
    pub(crate) webhook: watch::Sender<()>,
    pub(crate) tally: Arc<Tally>,
}

/// A reader at work.
pub(crate) struct Reading {
    end: oneshot::Receiver<io::Result<()>>,
    progress: watch::Receiver<Progress>,
    stop: Arc<AtomicBool>,
    webhook: watch::Sender<()>,
    tally: Arc<Tally>,
}

impl Reader {
    /// Reads on a thread of its own, as reading a pipe blocks.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub(crate) fn start(self, input: Input) -> Result<Reading, Failure> {
        let (done, end) = oneshot::channel();
        let (progress, watched) = watch::channel(Progress::Busy);
        let stop = Arc::<AtomicBool>::default();
        let (webhook, tally) = (self.webhook.clone(), Arc::clone(&self.tally));
        let reading = Reading { end, progress: watched, stop, webhook, tally };
        let stop = Arc::clone(&reading.stop);
        let gate = Gate::new(input, Arc::clone(&stop), progress);
        thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || done.send(self.read(gate, &stop)))
            .map_err(|error| Failure::runtime(format!("no thread to read events: {error}")))?;
        Ok(reading)
    }

    /// Reads to the end, or to the end of what was read when the client was closed.
    fn read(&self, input: Gate, stop: &AtomicBool) -> io::Result<()> {
        let mut webhook = self.webhook.subscribe();
        let mut lines = Lines::new(BufReader::new(input));
        let mut complaints = Complaints::default();
        let is_stored = self.client.outbox().is_some();
        while let Some((number, line, source)) = lines.next_of()? {
            self.tally.lines.fetch_add(1, Relaxed);
            let position = || source.get_ref().position(source.buffer().len());
            let position = if is_stored { position() } else { None };
            match line.map(|line| self.emit(&line, position.as_deref(), &mut webhook)) {
                // What is stored waits for a webhook in the outbox.
                Ok(Ok(None)) if is_stored => {}
                Ok(Err(error)) if is_stored && error != EmitError::Closed => {
                    self.tally.bad_lines.fetch_add(1, Relaxed);
                    complaints.say(number, &error);
                }
                // The client counts them, and logs that its queue is full.
                Ok(Ok(Some(_)) | Err(EmitError::Full)) => {}
                Ok(answer @ (Ok(None) | Err(EmitError::Closed))) => {
                    self.tally.not_taken.fetch_add(1, Relaxed);
                    stop.fetch_or(answer.is_err(), Relaxed);
                }
                // The client counts these, too.
                Ok(Err(error)) => complaints.say(number, &error),
                Err(bad) => {
                    self.tally.bad_lines.fetch_add(1, Relaxed);
                    complaints.say(number, &bad);
                }
            }
        }
        complaints.end();
        Ok(())
    }

    fn emit(
        &self,
        line: &Line<'_>,
        position: Option<&str>,
        webhook: &mut watch::Receiver<()>,
    ) -> Result<Option<u64>, EmitError> {
        let event = Event::new(
            &line.topic,
            line.node_id.unwrap_or(self.node_id),
            line.timestamp.unwrap_or_else(|| TokioClock::new().wall()),
        );
        let data = Json(line.data());
        if let Some(text) = position {
            let position = Position { source: &self.name, text };
            let stored = self.client.store_at(&event, &data, position);
            return self.runtime.block_on(stored).map(|()| None).map_err(|error| match error {
                StoreError::Payload(error) => EmitError::Payload(error),
                _ => EmitError::Closed,
            });
        }
        if !self.blocks {
            return self.client.emit_event(&event, &data);
        }
        self.runtime.block_on(async {
            loop {
                // Before it is asked for, so that no change is missed.
                webhook.borrow_and_update();
                let answer = self.client.emit_when_room(&event, &data).await;
                if answer != Ok(None) || self.client.outbox().is_some() {
                    return answer;
                }
                info!("there is no webhook: the events wait for one");
                // The reader keeps a sender itself.
                let _ = webhook.changed().await;
            }
        })
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

impl Reading {
    /// Completes when all was read.
    ///
    /// # Errors
    /// When reading failed.
    pub(crate) async fn end(&mut self) -> Result<(), Failure> {
        let outcome = (&mut self.end).await.map_err(|_| Failure::runtime("the reader stopped"))?;
        outcome.map_err(|error| Failure::runtime(format!("the events could not be read: {error}")))
    }

    /// Stops reading, at the end of a line where that comes soon, once the client is closed. Then all
    /// that was read is accounted for. The thread may be left behind, waiting for bytes.
    pub(crate) async fn stop(mut self) {
        self.stop.store(true, Relaxed);
        self.webhook.send_replace(());
        // One that has ended is not waited for.
        let idle = self.progress.wait_for(|progress| *progress == Progress::Idle);
        let _ = timeout(REST_OF_LINE, idle).await;
        if *self.progress.borrow() == Progress::Begun {
            self.tally.lines.fetch_add(1, Relaxed);
            self.tally.not_taken.fetch_add(1, Relaxed);
        }
    }
}
