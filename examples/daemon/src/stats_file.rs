//! Writes the counters to a file, which is replaced as a whole.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::path::Path;

use pilot_webhook_std::replace_file;

/// Whether the file may be written: it is not there yet, or a regular one. Its permissions are those
/// of the next one.
///
/// # Errors
/// When something else stands there. A link would change another file than the one named, and a
/// pipe would wait for a reader.
pub(crate) fn check(path: &Path) -> io::Result<Option<Permissions>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(found.permissions())),
        Ok(_) => Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file")),
        // Also where it cannot be looked at; writing says why.
        Err(_) => Ok(None),
    }
}

/// Writes the file. A new one has mode 0600.
///
/// # Errors
/// As [`check`], or when the system says no. The old file is still there then.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    replace_file(path, text.as_bytes(), check(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_file_is_for_its_owner_and_the_next_one_is_like_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stats");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        write(&path, "one").unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        write(&path, "two").unwrap();
        assert_eq!((mode(), fs::read_to_string(&path).unwrap()), (0o644, "two".to_owned()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_put_in_its_place_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stats");
        fs::create_dir(&path).unwrap();
        assert!(write(&path, "one").is_err());
        assert!(write(&directory.path().join("no").join("stats"), "one").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
