//! A time limit that also holds where there is no tokio runtime.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Whether `work` completes within `limit`. Outside of a runtime a thread watches the clock; where there can be no
/// more threads, the limit is over at once.
pub(crate) async fn within(limit: Duration, work: impl Future<Output = ()>) -> bool {
    if Handle::try_current().is_ok() {
        return timeout(limit, work).await.is_ok();
    }
    let mut work = pin!(work);
    // It may be done already: a second close is.
    if poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx).is_ready())).await {
        return true;
    }
    // Dropped at the end, which the thread does not outlive.
    let (_done, is_done) = mpsc::channel::<()>();
    let mut over = after(limit, is_done);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending => Pin::new(&mut over).poll(cx).map(|_| false),
    })
    .await
}

/// Completes when `limit` has passed, or without a thread at once. Its thread also ends with the other end of
/// `is_done`.
fn after(limit: Duration, is_done: mpsc::Receiver<()>) -> oneshot::Receiver<()> {
    let (over, end) = oneshot::channel();
    let watch = move || {
        let _ = is_done.recv_timeout(limit);
        let _ = over.send(());
    };
    // Where there is no thread, `over` is dropped with it.
    drop(thread::Builder::new().name("webhook close".to_owned()).spawn(watch));
    end
}
