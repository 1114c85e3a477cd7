//! Long work on the thread that also delivers, in turns with the other tasks.

use std::time::{Duration, Instant};

use tokio::task::yield_now;

/// How long a turn takes. Arbitrary: long enough for several endpoints, too short to be noticed. The first event after an
/// endpoint was changed has the hub look at all of them, so a turn for each endpoint would cost more than its change.
const TURN: Duration = Duration::from_millis(5);

pub(crate) struct Turns {
    began: Instant,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now() }
    }

    /// Lets the other tasks run, if this turn is over.
    pub(crate) async fn next(&mut self) {
        if self.began.elapsed() >= TURN {
            yield_now().await;
            self.began = Instant::now();
        }
    }
}
