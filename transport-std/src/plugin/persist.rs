//! The URL that survives a restart: `webhook_url` in pilot's directory.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pilot_webhook_core::{EndpointBuf, EndpointError, Policy};

use crate::client::handle::MAX_URL;

/// The file's name, as in pilot's Go plugin.
const FILE_NAME: &str = "webhook_url";
/// Saves of this process, so that no two of them write to one file.
static SAVES: AtomicU64 = AtomicU64::new(0);

/// Why the URL could not be loaded or saved. `Display` names the file, and nothing that is in it.
#[derive(Debug)]
pub struct PersistError {
    path: PathBuf,
    kind: PersistErrorKind,
}

/// What is wrong with the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum PersistErrorKind {
    /// Neither a directory was given nor `PILOT_HOME` or `HOME` set.
    NoHome,
    /// An operation on the file failed.
    Io(io::Error),
    /// It is something else than a file, such as a pipe, which would wait for a writer.
    NotAFile,
    /// It is longer than a URL may be.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// Its content is not an endpoint.
    Url(EndpointError),
}

impl PersistError {
    /// What the operating system said about the file in `home`.
    pub(crate) fn io(home: &Path, error: io::Error) -> Self {
        Self { path: home.join(FILE_NAME), kind: PersistErrorKind::Io(error) }
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> &PersistErrorKind {
        &self.kind
    }
}

impl fmt::Display for PersistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.kind {
            PersistErrorKind::NoHome => f.write_str("set PILOT_HOME or HOME"),
            PersistErrorKind::Io(error) => error.fmt(f),
            PersistErrorKind::NotAFile => f.write_str("not a regular file"),
            PersistErrorKind::TooLong => write!(f, "longer than {MAX_URL} bytes"),
            PersistErrorKind::NotUtf8 => f.write_str("not UTF-8"),
            PersistErrorKind::Url(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PersistError {}

/// Pilot's directory: `PILOT_HOME`, or `.pilot` in the user's home.
///
/// # Errors
/// When neither `PILOT_HOME` nor `HOME` is set.
pub fn pilot_home() -> Result<PathBuf, PersistError> {
    let set = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    match (set("PILOT_HOME"), set("HOME")) {
        (Some(pilot), _) => Ok(pilot.into()),
        (None, Some(home)) => Ok(Path::new(&home).join(".pilot")),
        (None, None) => {
            Err(PersistError { path: FILE_NAME.into(), kind: PersistErrorKind::NoHome })
        }
    }
}

/// The URL saved in `home`; `None` when there is none. A byte order mark
/// before it is passed over, white space around it is trimmed.
///
/// # Errors
/// When the file cannot be read or is something else than a file, or what is in it is no endpoint by `policy`.
pub fn load_persisted_url(home: &Path, policy: Policy) -> Result<Option<String>, PersistError> {
    let path = home.join(FILE_NAME);
    let fail = |kind| Err(PersistError { path: path.clone(), kind });
    match fs::metadata(&path) {
        Ok(found) if !found.is_file() => return fail(PersistErrorKind::NotAFile),
        // Any other fault is found by reading.
        _ => {}
    }
    let mut contents = Vec::new();
    let read =
        File::open(&path).and_then(|file| file.take(MAX_URL as u64 + 1).read_to_end(&mut contents));
    match read {
        Ok(length) if length > MAX_URL => return fail(PersistErrorKind::TooLong),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return fail(PersistErrorKind::Io(error)),
    }
    let Ok(text) = String::from_utf8(contents) else {
        return fail(PersistErrorKind::NotUtf8);
    };
    let url = text.strip_prefix('\u{FEFF}').unwrap_or(&text).trim();
    if url.is_empty() {
        return Ok(None);
    }
    match EndpointBuf::<MAX_URL>::parse(url, policy) {
        Ok(_) => Ok(Some(url.to_owned())),
        Err(error) => fail(PersistErrorKind::Url(error)),
    }
}

/// Saves `url` in `home`, or removes the file when it is empty. A crash at any point leaves the old
/// URL or the new one, and so do other saves at the same time: the last one counts. On Unix the directory is made with mode 0700, the file with 0600; elsewhere both
/// have what the system gives. A symbolic link in the file's place is replaced, not followed.
///
/// # Errors
/// When the operating system says no. The old URL is still there then.
pub fn save_persisted_url(home: &Path, url: &str) -> Result<(), PersistError> {
    save(home, url, &mut |_| {}).map_err(|error| PersistError::io(home, error))
}

/// The steps of a save, in order: where a crash can come between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Step {
    MakeDirectory,
    Create,
    Write,
    SyncFile,
    Replace,
    SyncDirectory,
    Done,
}

fn save(home: &Path, url: &str, before: &mut dyn FnMut(Step)) -> io::Result<()> {
    let path = home.join(FILE_NAME);
    before(Step::MakeDirectory);
    if url.is_empty() {
        before(Step::Replace);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed?,
        }
    } else {
        let mut directory = DirBuilder::new();
        #[cfg(unix)]
        directory.mode(0o700);
        directory.recursive(true).create(home)?;
        let temporary = home.join(temporary_name());
        let replaced = replace(&temporary, &path, url, before);
        if replaced.is_err() {
            // The temporary file is useless now.
            let _ = fs::remove_file(&temporary);
        }
        replaced?;
    }
    before(Step::SyncDirectory);
    // Elsewhere a directory cannot be opened as a file, and has nothing to be synchronised.
    #[cfg(unix)]
    File::open(home)?.sync_all()?;
    before(Step::Done);
    Ok(())
}

/// Where a URL is written before it takes the file's place: a name that no other save has, of whatever
/// process. (A crash leaves it behind.)
fn temporary_name() -> String {
    format!(".{FILE_NAME}.{}.{}.tmp", std::process::id(), SAVES.fetch_add(1, Relaxed))
}

fn replace(
    temporary: &Path,
    path: &Path,
    url: &str,
    before: &mut dyn FnMut(Step),
) -> io::Result<()> {
    before(Step::Create);
    // Left behind by the crash of a process that had our number.
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // `create_new` follows no link and opens no file of somebody else's.
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.write(true).create_new(true).open(temporary)?;
    before(Step::Write);
    file.write_all(url.as_bytes())?;
    before(Step::SyncFile);
    file.sync_all()?;
    before(Step::Replace);
    fs::rename(temporary, path)
}

#[cfg(test)]
#[cfg(unix)]
#[path = "persist_tests.rs"]
mod tests;
