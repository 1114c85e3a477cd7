//! The endpoints beside the service's own that have answered 410 Gone survive a restart, too: `webhook_gone_endpoints`, a
//! name and a URL in each line. Nothing is sent there until a URL is set, be it the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::warn;

use crate::plugin::gone::is_same;
use crate::plugin::persist::{PersistError, read_home_file, save_home_file};

/// The file's name.
const FILE_NAME: &str = "webhook_gone_endpoints";
/// The longest file that is read. Arbitrary: two thousand of the longest URLs.
const LONGEST: usize = 4 << 20;

/// The URLs that are gone, by the names of their endpoints.
#[derive(Debug, Default)]
pub(crate) struct GoneEndpoints(Mutex<BTreeMap<String, String>>);

impl GoneEndpoints {
    /// What is noted in `home`. A file that cannot be read, or that others may have written, is logged and passed over.
    pub(crate) fn load(home: &Path) -> Self {
        let text = read_home_file(home, FILE_NAME, LONGEST).unwrap_or_else(|error| {
            warn!("which endpoints are gone is not known: {error}");
            None
        });
        let text = text.unwrap_or_default();
        let line = |line: &str| line.split_once(' ').map(|(name, url)| (name.into(), url.into()));
        Self(Mutex::new(text.lines().filter_map(line).collect()))
    }

    /// Whether this URL is noted for the endpoint.
    pub(crate) fn is_gone(&self, name: &str, url: &str) -> bool {
        self.urls().get(name).is_some_and(|gone| is_same(gone, url))
    }

    /// Notes that this URL is gone, or with `None` that the endpoint is not. Returns what is to be saved, if it is new.
    pub(crate) fn note(&self, name: &str, url: Option<&str>) -> Option<String> {
        let mut urls = self.urls();
        let before = match url {
            Some(url) => urls.insert(name.to_owned(), url.to_owned()),
            None => urls.remove(name),
        };
        let lines = urls.iter().map(|(name, url)| format!("{name} {url}\n"));
        (before.as_deref() != url).then(|| lines.collect())
    }

    fn urls(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Saves what [`GoneEndpoints::note`] returned.
pub(crate) fn save(home: &Path, text: &str) -> Result<(), PersistError> {
    save_home_file(home, FILE_NAME, text)
}
