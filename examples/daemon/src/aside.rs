//! Work that may block, such as opening a named pipe that has no writer, on a thread of its own.

use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::Failure;

/// Runs `work` on a new thread, within the same runtime. It goes on when the future is dropped, and the end of
/// the process does not wait for it.
///
/// # Errors
/// When no thread can be spawned, or the work panics.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let (done, end) = oneshot::channel();
    let runtime = Handle::current();
    let work = move || {
        let _context = runtime.enter();
        done.send(work())
    };
    let thread = thread::Builder::new().spawn(work);
    thread.map_err(|error| Failure::runtime(format!("no more threads: {error}")))?;
    end.await.map_err(|_| Failure::runtime("a thread panicked: this is a bug"))
}
