//! The credentials that stood in the URL that survives a restart: `webhook_auth`, beside the URL's own file, so that a
//! URL is never kept or shown with its password.
//!
//! The file holds an origin and the value of `Authorization` for it. Another origin never gets them, whatever
//! becomes of the two files.

use std::path::Path;

use pilot_webhook_core::Policy;

use crate::client::destination::{Destination, origin};
use crate::client::handle::{HttpTarget, MAX_URL};
use crate::plugin::persist::{PersistError, read_home_file, save_home_file};

/// The file's name.
const FILE_NAME: &str = "webhook_auth";

/// A URL without credentials, and what the file is to hold for it.
pub(crate) struct Split {
    pub(crate) url: String,
    line: String,
}

impl Split {
    /// What is no endpoint stays as it is.
    pub(crate) fn new(url: &str) -> Self {
        let destination = Destination::parse(url, Policy::default()).ok();
        let target = destination.as_ref().and_then(Destination::http);
        let credentials = target.and_then(|target| {
            let line = format!("{} {}", origin(target), target.get().authorization()?);
            Some(Self { url: target.get().url().to_owned(), line })
        });
        credentials.unwrap_or_else(|| Self { url: url.to_owned(), line: String::new() })
    }

    /// Writes both files, by `save_url` that of the URL: credentials before a URL that needs them, and
    /// after one that does not.
    pub(crate) fn save(
        &self,
        home: &Path,
        save_url: impl FnOnce(&str) -> Result<(), PersistError>,
    ) -> Result<(), PersistError> {
        if !self.line.is_empty() {
            save_home_file(home, FILE_NAME, &self.line)?;
        }
        save_url(&self.url)?;
        if self.line.is_empty() { save_home_file(home, FILE_NAME, "") } else { Ok(()) }
    }
}

/// A target that was persisted, with the credentials for its origin, if there are any.
///
/// # Errors
/// When the file cannot be read, or may have been written by others.
pub(crate) fn load(home: &Path, target: HttpTarget) -> Result<HttpTarget, PersistError> {
    let text = read_home_file(home, FILE_NAME, 2 * MAX_URL)?.unwrap_or_default();
    match text.trim().split_once(' ') {
        Some((of, value)) if of == origin(&target) && target.get().authorization().is_none() => {
            // One that does not fit the target is none that was saved here.
            Ok(target.clone().with_authorization(value).unwrap_or(target))
        }
        _ => Ok(target),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::plugin::persist::{load_persisted, load_persisted_url, save_persisted_url};

    /// Its path is encoded where it is parsed, which is here, too.
    #[test]
    fn a_url_as_people_write_it_is_split_as_well() {
        let split = Split::new("http://user:hush@bücher.example/a b");
        assert_eq!(split.url, "http://xn--bcher-kva.example/a%20b");
        assert!(
            split.line.starts_with("http://xn--bcher-kva.example "),
            "an origin, and what is for it"
        );
    }

    #[test]
    fn credentials_come_back_for_their_origin_and_stand_in_no_urls_file() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let load = || {
            let found = load_persisted(home, Policy::default()).unwrap().unwrap();
            found.http().unwrap().clone()
        };
        let url = "http://user:hush@127.0.0.1:9/a?b";
        save_persisted_url(home, url).unwrap();
        assert_eq!(load(), HttpTarget::parse(url, Policy::default()).unwrap());
        let bare = "http://127.0.0.1:9/a?b";
        assert_eq!(load_persisted_url(home, Policy::default()).unwrap().as_deref(), Some(bare));
        assert_eq!(fs::read_to_string(home.join("webhook_url")).unwrap(), bare);
        let file = home.join(FILE_NAME);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(&file).unwrap().contains("hush"));

        // As after a crash between the two files.
        for (other, expected) in
            [("http://127.0.0.1:10/", None), ("http://127.0.0.1:9/c", Some("Basic dXNlcjpodXNo"))]
        {
            fs::write(home.join("webhook_url"), other).unwrap();
            assert_eq!(load().get().authorization(), expected, "{other}");
        }
        fs::write(&file, "http://127.0.0.1:9 a\nb").unwrap();
        assert_eq!(load().get().authorization(), None, "HTTP cannot carry that");

        save_persisted_url(home, bare).unwrap();
        assert!(!file.exists(), "the new URL has none");
        assert_eq!(load().get().authorization(), None);
    }
}
