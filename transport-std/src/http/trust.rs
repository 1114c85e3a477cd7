//! Whom TLS trusts, and reading it again when the files may have changed.

use std::fs;
use std::io;
#[cfg(feature = "nats")]
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::thread::Builder;
use std::time::Duration;

#[cfg(feature = "nats")]
use rustls::ClientConfig;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::http::tls::{HttpConfigError, Roots, Tls, TrustFiles};

/// Between two readings that no caller asked for. Arbitrary: a file that was replaced counts soon, and a
/// server that is never trusted costs little.
const REST: Duration = Duration::from_secs(10);

/// All that there are, so that what is the same is there once.
static KNOWN: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// The trusted certificates and the TLS configuration made of them. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Trust {
    inner: Arc<Inner>,
}

struct Inner {
    files: TrustFiles,
    /// What was read last. Locked while files are read, so that the last reading to begin counts.
    roots: Mutex<Roots>,
    /// What new connections use. `None` when there is no trusted root.
    tls: RwLock<Option<Tls>>,
    /// When it was last read because a server was not trusted.
    doubted: Mutex<Option<Instant>>,
}

impl Trust {
    /// Reads the system's roots, if they are wanted, and the files, which may be pipes.
    #[cfg(feature = "nats")]
    pub(crate) fn read(
        system_roots: bool,
        ca_files: Vec<PathBuf>,
    ) -> Result<Self, HttpConfigError> {
        Self::of(TrustFiles { system_roots, ca_files, identity: None })
    }

    /// Reads the files, which may be pipes. Where another one is made of the same, it is that one, as the system's roots
    /// take 200 KB: they are not read again for it, and files are.
    pub(crate) fn of(files: TrustFiles) -> Result<Self, HttpConfigError> {
        if files.paths().next().is_none()
            && let Some(inner) = known(&files).pop()
        {
            return Ok(Self { inner });
        }
        // It may block, so others are not kept waiting.
        let roots = Roots::read(&files)?;
        if let Some(inner) = known(&files).into_iter().find(|it| *lock(&it.roots) == roots) {
            return Ok(Self { inner });
        }
        let tls = RwLock::new(roots.tls()?);
        let roots = Mutex::new(roots);
        let inner = Arc::new(Inner { files, roots, tls, doubted: Mutex::default() });
        lock(&KNOWN).push(Arc::downgrade(&inner));
        Ok(Self { inner })
    }

    /// The TLS side of a new connection, with sessions to resume. `None` when there is no trusted root,
    /// which matters to `https` endpoints only.
    pub(crate) fn tls(&self) -> Option<Tls> {
        self.inner.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The configuration alone, for transports that are not HTTP's.
    #[cfg(feature = "nats")]
    pub(crate) fn config(&self) -> Option<Arc<ClientConfig>> {
        self.tls().map(|tls| tls.config)
    }

    /// Reads everything again, for the connections that are made from now on. Returns whether anything
    /// changed; with it sessions to resume are forgotten. On an error what was read before still counts.
    pub(crate) fn read_again(&self) -> Result<bool, HttpConfigError> {
        let inner = &*self.inner;
        let mut roots = lock(&inner.roots);
        for path in inner.files.paths() {
            // A pipe had it once, and would be waited for.
            if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
                let error = io::Error::other("not a regular file, which can be read only once");
                return Err(HttpConfigError::CaUnreadable { path: path.clone(), error });
            }
        }
        let found = Roots::read(&inner.files)?;
        if found == *roots {
            return Ok(false);
        }
        let tls = found.tls()?;
        *inner.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
        *roots = found;
        Ok(true)
    }

    /// A server was not trusted: reads everything again on a thread of its own, so that the next attempt
    /// knows what has changed. No more than once in 10 s.
    pub(crate) fn doubt(&self, now: Instant) {
        if !is_due(&mut lock(&self.inner.doubted), now) {
            return;
        }
        let trust = self.clone();
        let read_again = move || match trust.read_again() {
            Ok(true) => info!("the trusted certificates have changed and were read again"),
            Ok(false) => {}
            Err(error) => warn!("the trusted certificates are still the old ones: {error}"),
        };
        if let Err(error) = Builder::new().name("trust".into()).spawn(read_again) {
            warn!("no thread to read the trusted certificates again: {error}");
        }
    }
}

/// Those that are made of these files.
fn known(files: &TrustFiles) -> Vec<Arc<Inner>> {
    let mut known = lock(&KNOWN);
    known.retain(|it| it.strong_count() > 0);
    known.iter().filter_map(Weak::upgrade).filter(|it| it.files == *files).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether to read again now, when the last time was `last`; sets it.
fn is_due(last: &mut Option<Instant>, now: Instant) -> bool {
    let due = last.is_none_or(|last| now.saturating_duration_since(last) >= REST);
    if due {
        *last = Some(now);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_from_the_same_files_is_there_once() {
        let of = |system_roots, ca_files: &[&std::path::Path]| {
            let ca_files = ca_files.iter().map(|it| it.to_path_buf()).collect();
            Trust::of(TrustFiles { system_roots, ca_files, identity: None }).unwrap()
        };
        let (one, same, other) = (of(true, &[]), of(true, &[]), of(false, &[]));
        assert!(Arc::ptr_eq(&one.inner, &same.inner));
        assert!(!Arc::ptr_eq(&one.inner, &other.inner));
    }

    #[test]
    fn a_server_that_is_never_trusted_costs_a_reading_in_ten_seconds() {
        let (mut last, begin) = (None, Instant::now());
        let due: Vec<_> =
            (0..25).filter(|s| is_due(&mut last, begin + Duration::from_secs(*s))).collect();
        assert_eq!(due, [0, 10, 20]);
    }
}
