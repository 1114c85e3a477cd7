//! A time limit that also holds where there is no tokio runtime.

use std::future::poll_fn;
use std::pin::pin;
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
    let (mut work, mut over) = (pin!(work), pin!(None));
    // Dropped at the end, which the thread does not outlive.
    let (_done, is_done) = mpsc::channel::<()>();
    let mut is_done = Some(is_done);
    poll_fn(|cx| {
        if work.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        if let Some(is_done) = is_done.take() {
            over.set(Some(after(limit, is_done)));
        }
        let Some(over) = over.as_mut().as_pin_mut() else { return Poll::Pending };
        over.poll(cx).map(|_| false)
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
