//! The URL that has answered 410 Gone survives a restart, too: `webhook_gone`, beside the URL's own file. Nothing is
//! sent there until a webhook is set, be it the same.

use std::path::Path;

use pilot_webhook_core::Policy;
use tracing::warn;

use crate::client::destination::Destination;
use crate::client::handle::MAX_URL;
use crate::plugin::persist::{PersistError, read_home_file, save_home_file};

/// The file's name.
const FILE_NAME: &str = "webhook_gone";

/// Notes that this URL is gone, or with an empty one that none is.
pub(crate) fn save(home: &Path, url: &str) -> Result<(), PersistError> {
    save_home_file(home, FILE_NAME, url)
}

/// Whether this URL is gone. A file that cannot be read, or that others may have written, is logged and passed over.
pub(crate) fn is_gone(home: &Path, url: &str) -> bool {
    match read_home_file(home, FILE_NAME, MAX_URL) {
        Ok(text) => text.is_some_and(|text| is_same(text.trim(), url)),
        Err(error) => {
            warn!("whether the webhook is gone is not known: {error}");
            false
        }
    }
}

/// Whether both are one URL, credentials apart.
pub(crate) fn is_same(url: &str, other: &str) -> bool {
    let parse = |url| Destination::parse(url, Policy::default()).ok();
    let (url, other) = (parse(url), parse(other));
    url.zip(other).is_some_and(|(url, other)| url.url() == other.url())
}
