//! A receipt: tells when an event is on disk.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::error::PutError;
use super::intake::Intake;

/// Completes when the event is on disk, with its id: of several events, with the id of each. To drop it
/// changes nothing: they are stored all the same.
///
/// While the disk fails it waits. It fails only when the outbox is closed before the disk works again.
#[derive(Debug)]
#[must_use = "the event is safe when this has completed"]
pub struct Pending<T = u64> {
    outcome: oneshot::Receiver<Result<T, PutError>>,
    intake: Arc<Intake>,
    is_awaited: bool,
}

impl<T> Pending<T> {
    pub(crate) const fn new(
        outcome: oneshot::Receiver<Result<T, PutError>>,
        intake: Arc<Intake>,
    ) -> Self {
        Self { outcome, intake, is_awaited: false }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, PutError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.outcome).poll(context) {
            Poll::Ready(outcome) => Poll::Ready(outcome.unwrap_or(Err(PutError::Closed))),
            Poll::Pending => {
                if !self.is_awaited {
                    self.is_awaited = true;
                    // Somebody waits: the next commit begins now, not after the delay.
                    self.intake.hurry();
                }
                Poll::Pending
            }
        }
    }
}
