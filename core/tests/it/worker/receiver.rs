//! A receiver that answers by a script.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Clock, EndpointBuf, ErrorKind, Message, Reply, RetryAfter, Timestamp, Transport,
};

use super::WALL;
use super::time::Time;

pub(super) enum Answer {
    Status(u16),
    Busy(u64),
    /// Until this time, as a date.
    BusyUntil(i64),
    Error(ErrorKind),
    Never,
}

pub(super) const SAID: &[u8] = b"said";

/// Answers by the script, and notes who asked when and what the worker said of it.
#[derive(Default)]
pub(super) struct Receiver<'t> {
    script: RefCell<VecDeque<Answer>>,
    pub(super) time: Option<&'t Time>,
    /// Seconds, and the host.
    posts: RefCell<Vec<(u64, String)>>,
    /// Whether each asked for a connection that has not been used.
    pub(super) fresh: RefCell<Vec<bool>>,
}

impl<'t> Receiver<'t> {
    pub(super) fn new(time: &'t Time, script: impl IntoIterator<Item = Answer>) -> Self {
        let script = RefCell::new(script.into_iter().collect());
        Self { script, time: Some(time), ..Self::default() }
    }

    pub(super) fn posts(&self) -> Vec<(u64, String)> {
        self.posts.borrow().clone()
    }

    pub(super) fn times(&self) -> Vec<u64> {
        self.posts.borrow().iter().map(|(seconds, _)| *seconds).collect()
    }
}

impl Transport<EndpointBuf<64>> for &Receiver<'_> {
    type Error = ErrorKind;

    async fn send(
        &mut self,
        to: &EndpointBuf<64>,
        message: &Message<'_>,
    ) -> Result<Reply, ErrorKind> {
        self.fresh.borrow_mut().push(message.fresh);
        let seconds = self.time.unwrap().now().as_micros() / 1_000_000;
        self.posts.borrow_mut().push((seconds, to.get().authority().to_owned()));
        let answer = self.script.borrow_mut().pop_front().unwrap_or(Answer::Status(204));
        match answer {
            Answer::Status(status) => Ok(Response::status(status).into()),
            Answer::Busy(seconds) => {
                let retry_after = RetryAfter::Delay(Duration::from_secs(seconds));
                Ok(Response { status: 503, retry_after: Some(retry_after) }.into())
            }
            Answer::BusyUntil(seconds) => {
                let retry_after = RetryAfter::At(Timestamp::new(WALL + seconds, 0));
                Ok(Response { status: 429, retry_after: Some(retry_after) }.into())
            }
            Answer::Error(kind) => Err(kind),
            Answer::Never => pending().await,
        }
    }

    fn answer(&self) -> &[u8] {
        SAID
    }
}
