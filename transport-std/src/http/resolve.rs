//! Resolves host names.

use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::thread::Builder;

use tokio::sync::oneshot;

/// What [`Resolve::resolve`] returns: the addresses of a name, best first.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Looks up host names. The destination policy is applied to what it returns, and the connection
/// is made to an address that passed, without asking again.
///
/// All transports of a client ask it together: about a name once at a time, and about four names at a
/// time. A look-up goes on when the attempt that needed it is over, in a task of its own, and the
/// attempts that follow take its result. It must end some time.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host`, best first.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

/// The operating system's resolver, asked from a thread of its own for each look-up.
///
/// `getaddrinfo` cannot be cancelled. The thread is not one of tokio's blocking pool, so neither other
/// blocking work nor the end of the runtime waits for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        let host = host.to_owned();
        Box::pin(on_a_thread(Builder::new().name("look-up".into()), move || {
            let addresses = (host.as_str(), 0).to_socket_addrs()?;
            Ok(addresses.map(|address| address.ip()).collect())
        }))
    }
}

/// Runs `job` on a new `thread` and returns its result. It runs to its end, also when the future is dropped.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    thread: Builder,
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (tell, told) = oneshot::channel();
    let started = thread.spawn(move || {
        // Nobody may be waiting any more.
        let _ = tell.send(job());
    });
    started.map_err(|error| {
        io::Error::new(error.kind(), format!("no thread for the look-up: {error}"))
    })?;
    told.await.unwrap_or_else(|_| Err(io::Error::other("the thread of the look-up panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_knows_itself() {
        let found = SystemResolver.resolve("localhost").await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    }

    /// Tokio panics in its blocking pool's place, and the panics were events, ten a second.
    #[tokio::test]
    async fn a_thread_that_cannot_be_had_is_an_error() {
        let impossible = Builder::new().stack_size(1 << 60);
        let error = on_a_thread(impossible, || Ok(())).await.unwrap_err();
        assert!(error.to_string().starts_with("no thread for the look-up: "), "{error}");
    }

    #[tokio::test]
    async fn a_job_that_panics_is_an_error() {
        let job = || -> io::Result<()> { panic!("on purpose") };
        let error = on_a_thread(Builder::new(), job).await.unwrap_err();
        assert_eq!(error.to_string(), "the thread of the look-up panicked");
    }
}
