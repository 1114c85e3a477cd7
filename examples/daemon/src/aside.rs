//! Work that may wait for somebody else, such as the writer of a named pipe, on a thread of its own.

use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::Failure;

/// Does `work` aside, within the same runtime. It goes on when nobody waits for it any more, and the end of
/// the process does not wait for it.
///
/// # Errors
/// When there can be no more threads, or the work panics.
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
