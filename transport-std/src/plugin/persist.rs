//! The URL that survives a restart: `webhook_url` in pilot's directory.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Read as _};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use pilot_webhook_core::Policy;

use crate::client::destination::{Destination, DestinationError};
use crate::client::handle::MAX_URL;
use crate::plugin::{credentials, replace};

/// The file's name, as in pilot's Go plugin.
const FILE_NAME: &str = "webhook_url";

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
    /// It, or its directory, belongs to another user, whose number this is: who can write it decides where
    /// events go. Root's is used.
    NotOurs(u32),
    /// The group of it or of its directory, or everybody, may write it.
    WritableByOthers,
    /// It is longer than a URL may be.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// Its content names no destination.
    Url(DestinationError),
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

impl PersistErrorKind {
    fn at(self, path: &Path) -> PersistError {
        PersistError { path: path.to_owned(), kind: self }
    }
}

impl fmt::Display for PersistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.kind {
            PersistErrorKind::NoHome => f.write_str("set PILOT_HOME or HOME"),
            PersistErrorKind::Io(error) => error.fmt(f),
            PersistErrorKind::NotAFile => f.write_str("not a regular file"),
            PersistErrorKind::NotOurs(user) => write!(f, "belongs to another user ({user})"),
            PersistErrorKind::WritableByOthers => {
                f.write_str("others may write it: take the permission away with chmod go-w")
            }
            PersistErrorKind::TooLong => f.write_str("too long"),
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

/// The URL saved in `home`, without its credentials; `None` when there is none. A byte order mark
/// before it is passed over, white space around it is trimmed.
///
/// # Errors
/// As [`read_home_file`], or when what is in it names no destination by `policy`.
pub fn load_persisted_url(home: &Path, policy: Policy) -> Result<Option<String>, PersistError> {
    let Some(text) = read_home_file(home, FILE_NAME, MAX_URL)? else { return Ok(None) };
    let url = text.trim();
    if url.is_empty() {
        return Ok(None);
    }
    match Destination::parse(url, policy) {
        Ok(_) => Ok(Some(url.to_owned())),
        Err(error) => Err(PersistErrorKind::Url(error).at(&home.join(FILE_NAME))),
    }
}

/// The target saved in `home`, with its credentials; `None` when there is none.
pub(crate) fn load_persisted(
    home: &Path,
    policy: Policy,
) -> Result<Option<Destination>, PersistError> {
    let Some(url) = load_persisted_url(home, policy)? else { return Ok(None) };
    match Destination::parse(&url, policy) {
        Ok(Destination::Http(target)) => {
            credentials::load(home, target).map(|target| Some(Destination::Http(target)))
        }
        #[cfg(feature = "nats")]
        Ok(target) => Ok(Some(target)),
        Err(error) => Err(PersistErrorKind::Url(error).at(&home.join(FILE_NAME))),
    }
}

/// What is in the file `name` in `home`, but for a byte order mark; `None` when there is no such file.
///
/// # Errors
/// When it cannot be read, is no regular file, no UTF-8, or longer than `limit` bytes; on Unix also when
/// somebody else than this user and root could have written it, by the owner and the mode of the file and of
/// `home`.
pub fn read_home_file(
    home: &Path,
    name: &str,
    limit: usize,
) -> Result<Option<String>, PersistError> {
    let path = home.join(name);
    match read(home, &path, limit) {
        Ok(contents) => match String::from_utf8(contents) {
            Ok(text) => Ok(Some(text.strip_prefix('\u{FEFF}').unwrap_or(&text).to_owned())),
            Err(_) => Err(PersistErrorKind::NotUtf8.at(&path)),
        },
        Err(PersistError { kind: PersistErrorKind::Io(error), .. })
            if error.kind() == io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read(home: &Path, path: &Path, limit: usize) -> Result<Vec<u8>, PersistError> {
    let io = |error| PersistErrorKind::Io(error).at(path);
    // Before it is opened: a pipe would wait for a writer.
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(PersistErrorKind::NotAFile.at(path));
    }
    let file = File::open(path).map_err(io)?;
    check_writers(home, &fs::metadata(home).map_err(io)?)?;
    check_writers(path, &file.metadata().map_err(io)?)?;
    let mut contents = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut contents).map_err(io)?;
    if contents.len() > limit {
        return Err(PersistErrorKind::TooLong.at(path));
    }
    Ok(contents)
}

/// Whether only this user and root can write it, as ssh requires of its files.
#[cfg(unix)]
fn check_writers(path: &Path, found: &Metadata) -> Result<(), PersistError> {
    let owner = found.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(PersistErrorKind::NotOurs(owner).at(path));
    }
    if found.mode() & 0o022 != 0 {
        return Err(PersistErrorKind::WritableByOthers.at(path));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_writers(_: &Path, _: &Metadata) -> Result<(), PersistError> {
    Ok(())
}

/// Saves `url` in `home`, or removes the file when it is empty. A user name and password in it go to a file of
/// their own, `webhook_auth`. A crash at any point leaves the old
/// URL or the new one, and so do other saves at the same time: the last one counts. On Unix the directory is made with mode 0700, the file with 0600; elsewhere both
/// have what the system gives. A symbolic link in the file's place is replaced, not followed.
///
/// # Errors
/// When the operating system says no, or others may write to the directory: the URL would not be loaded again. The
/// old URL is still there then.
pub fn save_persisted_url(home: &Path, url: &str) -> Result<(), PersistError> {
    if !url.is_empty()
        && let Ok(found) = fs::metadata(home)
    {
        check_writers(home, &found)?;
    }
    credentials::Split::new(url).save(home, |url| save_home_file(home, FILE_NAME, url))
}

/// Writes the file `name` in `home` as a whole, or removes it when `text` is empty.
pub(crate) fn save_home_file(home: &Path, name: &str, text: &str) -> Result<(), PersistError> {
    let path = home.join(name);
    save(home, &path, text, &mut |_| {}).map_err(|error| PersistErrorKind::Io(error).at(&path))
}

/// The steps of a save, in order: where a crash can come between.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Step {
    MakeDirectory,
    File(replace::Step),
    SyncDirectory,
    Done,
}

fn save(home: &Path, path: &Path, text: &str, before: &mut dyn FnMut(Step)) -> io::Result<()> {
    before(Step::MakeDirectory);
    if text.is_empty() {
        before(Step::File(replace::Step::Replace));
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed?,
        }
    } else {
        let mut directory = DirBuilder::new();
        #[cfg(unix)]
        directory.mode(0o700);
        directory.recursive(true).create(home)?;
        replace::replace(path, text.as_bytes(), None, &mut |step| before(Step::File(step)))?;
    }
    before(Step::SyncDirectory);
    // Elsewhere a directory cannot be opened as a file, and has nothing to be synchronised.
    #[cfg(unix)]
    File::open(home)?.sync_all()?;
    before(Step::Done);
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
#[path = "persist_tests.rs"]
mod tests;
