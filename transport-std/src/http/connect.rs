//! The driver of a [`Race`]: concurrent connection attempts in one task.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;

use tokio::time::{Instant, timeout_at};

use crate::http::race::{Race, Step};

/// Runs `race`, beginning each attempt with `open`: the first address that opens, and what it opened.
/// The attempts that did not win are dropped, and with them what they opened.
pub(crate) async fn connect<T, F: Future<Output = io::Result<T>>>(
    race: &mut Race,
    open: impl Fn(SocketAddr) -> F,
) -> Option<(SocketAddr, T)> {
    let mut attempts = Vec::new();
    loop {
        match race.next(Instant::now()) {
            Step::Start(address) => attempts.push((address, Box::pin(open(address)))),
            Step::Wait(until) => match timeout_at(until, first_to_end(&mut attempts)).await {
                Ok((address, Ok(opened))) => return Some((address, opened)),
                Ok((address, Err(error))) => race.failed(address, error, Instant::now()),
                Err(_) => {}
            },
            Step::Lost => return None,
        }
    }
}

/// Removes the first attempt that ends. Never completes if there is none.
async fn first_to_end<F: Future>(
    attempts: &mut Vec<(SocketAddr, Pin<Box<F>>)>,
) -> (SocketAddr, F::Output) {
    poll_fn(|cx| {
        for (index, (address, attempt)) in attempts.iter_mut().enumerate() {
            if let Poll::Ready(output) = attempt.as_mut().poll(cx) {
                let address = *address;
                attempts.remove(index);
                return Poll::Ready((address, output));
            }
        }
        Poll::Pending
    })
    .await
}
