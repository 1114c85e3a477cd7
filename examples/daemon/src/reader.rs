//! The thread that reads events and hands them to the hub.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use pilot_webhook_std::Hub;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::Failure;
use crate::input::{Gate, Input, Progress};
use crate::lines::{LineOptions, LineSource};
use crate::tally::Tally;

/// How long a stop waits for the rest of a line. Arbitrary: writers write whole lines.
const REST_OF_LINE: Duration = Duration::from_millis(100);

/// A reader at work.
pub(crate) struct Reading {
    end: oneshot::Receiver<io::Result<()>>,
    progress: watch::Receiver<Progress>,
    stop: Arc<AtomicBool>,
    tally: Arc<Tally>,
}

/// Reads on a thread of its own, as reading a pipe blocks: to the end, or to the end of what was read when the hub
/// was closed. Within a tokio runtime.
///
/// # Errors
/// When there can be no more threads.
pub(crate) fn start(hub: Hub, input: Input, options: LineOptions) -> Result<Reading, Failure> {
    let (done, end) = oneshot::channel();
    let (progress, watched) = watch::channel(Progress::Busy);
    let (stop, tally) = (Arc::<AtomicBool>::default(), Arc::clone(&options.tally));
    let gate = Gate::new(input, Arc::clone(&stop), progress);
    let mut lines = LineSource::new(gate, options, Arc::clone(&stop));
    let runtime = Handle::current();
    let read = move || {
        runtime.block_on(hub.pull(&mut lines));
        // The gate goes before it is told.
        let end = lines.end();
        let _ = done.send(end);
    };
    thread::Builder::new()
        .name("reader".to_owned())
        .spawn(read)
        .map_err(|error| Failure::runtime(format!("no thread to read events: {error}")))?;
    Ok(Reading { end, progress: watched, stop, tally })
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

    /// Stops reading, at the end of a line where that comes soon, once the hub is closed. Then all
    /// that was read is accounted for. The thread may be left behind, waiting for bytes.
    pub(crate) async fn stop(mut self) {
        self.stop.store(true, Relaxed);
        // One that has ended is not waited for.
        let idle = self.progress.wait_for(|progress| *progress == Progress::Idle);
        let _ = timeout(REST_OF_LINE, idle).await;
        if *self.progress.borrow() == Progress::Begun {
            self.tally.lines.fetch_add(1, Relaxed);
            self.tally.not_taken.fetch_add(1, Relaxed);
        }
    }
}
