//! The tasks that pull from the consumers of a stream.

use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::PullConsumer;
use futures_util::StreamExt as _;
use pilot_webhook_std::Throttle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

use crate::gateway::consume::{Begin, Origin, Wanted};
use crate::gateway::settle::{Held, Settle};
use crate::tally::Tally;

/// The pause before a consumer that cannot be used is asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a pull waits for messages at the server. Arbitrary.
const EXPIRES: Duration = Duration::from_secs(10);
/// How often the server is asked how much is left, while nothing is pulled: its messages say it otherwise. Arbitrary.
const LOOK: Duration = Duration::from_secs(10);

/// The pulling for one endpoint.
#[derive(Clone)]
pub(super) struct Pulling {
    pub(super) origin: Arc<Origin>,
    pub(super) wanted: Wanted,
    /// Where its consumers begin, when they are not declared yet.
    pub(super) declare: Option<Begin>,
    pub(super) settle: Settle,
    pub(super) held: mpsc::UnboundedSender<Held>,
    pub(super) tally: Arc<Tally>,
}

impl Pulling {
    /// Pulls from all consumers until the receiver is gone. What goes wrong is said, and tried again.
    pub(super) fn start(self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let places = usize::try_from(self.origin.places(&self.wanted)).unwrap_or(1);
        for part in self.origin.parts() {
            let places = Arc::new(Semaphore::new(places));
            let left = self.tally.in_stream.consumer(&self.wanted.endpoint);
            tasks.spawn(Part { of: self.clone(), part, places, left }.pull());
        }
        tasks
    }
}

/// The pulling from one consumer.
struct Part {
    of: Pulling,
    part: Option<u32>,
    places: Arc<Semaphore>,
    /// The messages that the server has still to send, as it said last.
    left: Arc<AtomicU64>,
}

impl Part {
    async fn pull(mut self) {
        let complaints = Throttle::default();
        let held = self.of.held.clone();
        loop {
            let outcome = tokio::select! {
                Err(error) = self.pull_on() => error,
                () = held.closed() => return,
            };
            if complaints.admit(Instant::now()).is_some() {
                let Pulling { origin, wanted, .. } = &self.of;
                warn!("the stream {} for {}: {outcome}", origin.stream, wanted.endpoint);
            }
            tokio::select! {
                () = sleep(AGAIN) => {}
                () = held.closed() => return,
            }
        }
    }

    /// Asks for as many messages as there are free places, again and again. What comes is held at once, so that the
    /// server hears of it while it waits.
    async fn pull_on(&mut self) -> Result<Infallible, String> {
        let text = |error: &dyn Display| error.to_string();
        let Pulling { origin, wanted, declare, settle, held, .. } = &mut self.of;
        let stream = origin.stream().await.map_err(|failure| failure.message)?;
        // Once: a gateway whose configuration is older must not undo what a newer one declared.
        let consumer = match *declare {
            Some(begin) => origin.declared(&stream, wanted, self.part, begin).await?,
            // One that was there and is lost had a place, which nobody knows: nothing is lost when it begins anew.
            None => origin.consumer(&stream, wanted, self.part, Begin::All).await?,
        };
        *declare = None;
        self.left.store(consumer.cached_info().num_pending, Relaxed);
        // Not for one at a time, where there are many.
        let least = (origin.places(wanted) / 4).max(1);
        loop {
            let free = within_sight(&consumer, &self.left, self.places.acquire_many(least));
            let free = free.await.map_err(|error| text(&error))?;
            let more = self.places.available_permits();
            drop(free);
            let number = usize::try_from(least).unwrap_or(1) + more;
            let batch = consumer.batch().max_messages(number).expires(EXPIRES);
            let mut batch = batch.messages().await.map_err(|error| text(&error))?;
            let mut is_empty = true;
            while let Some(message) = batch.next().await {
                let message = message.map_err(|error| text(&error))?;
                is_empty = false;
                if let Ok(info) = message.info() {
                    self.left.store(info.pending, Relaxed);
                }
                let place = Arc::clone(&self.places).acquire_owned().await;
                let place = place.map_err(|error| text(&error))?;
                // When nobody takes it any more, it is given back.
                let _ = held.send(settle.hold(message, place));
            }
            if is_empty {
                // There is nothing, or others have as many as may be out, or somebody has paused the consumer.
                look(&consumer, &self.left).await;
            }
        }
    }
}

/// Waits for places. Until there are, the number of messages that are left is kept up to date.
async fn within_sight<T>(
    consumer: &PullConsumer,
    left: &AtomicU64,
    places: impl Future<Output = T>,
) -> T {
    let look_on = async {
        loop {
            sleep(LOOK).await;
            look(consumer, left).await;
        }
    };
    tokio::select! {
        biased;
        there = places => there,
        never = look_on => never,
    }
}

/// Asks the server how much is left. What it does not say now, it says later.
async fn look(consumer: &PullConsumer, left: &AtomicU64) {
    if let Ok(info) = consumer.get_info().await {
        left.store(info.num_pending, Relaxed);
    }
}
