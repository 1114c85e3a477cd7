//! Replaces a file as a whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::random::random;

/// The steps, in order: where a crash can come between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum Step {
    Create,
    Write,
    SyncFile,
    Replace,
}

/// Writes a file, so that a crash at any point leaves the old content or the new one, and so do other
/// writers at the same time: the last one counts. The content is written to another file beside it, which is synced
/// and renamed; a crash may leave that one behind. A symbolic link in the file's place is replaced, not followed.
///
/// Without `permissions` only its owner may read and write it on Unix; elsewhere it has what the system gives.
///
/// # Errors
/// When the operating system says no. The old file is still there then, and nothing is left behind.
pub fn replace_file(
    path: &Path,
    contents: &[u8],
    permissions: Option<Permissions>,
) -> io::Result<()> {
    replace(path, contents, permissions, &mut |_| {})
}

pub(super) fn replace(
    path: &Path,
    contents: &[u8],
    permissions: Option<Permissions>,
    before: &mut dyn FnMut(Step),
) -> io::Result<()> {
    // A name that no other writer has, of whatever process, and that fits beside every name.
    let name = format!(".pw-{:016x}", random());
    let aside = path.with_file_name(name);
    before(Step::Create);
    // `create_new` follows no link and opens no file of somebody else's.
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    options.mode(0o600);
    let file = options.write(true).create_new(true).open(&aside)?;
    let replaced = fill(file, contents, permissions, before).and_then(|()| {
        before(Step::Replace);
        fs::rename(&aside, path)
    });
    if replaced.is_err() {
        // Of no use to anyone.
        let _ = fs::remove_file(&aside);
    }
    replaced
}

fn fill(
    mut file: File,
    contents: &[u8],
    permissions: Option<Permissions>,
    before: &mut dyn FnMut(Step),
) -> io::Result<()> {
    before(Step::Write);
    permissions.map_or(Ok(()), |permissions| file.set_permissions(permissions))?;
    file.write_all(contents)?;
    before(Step::SyncFile);
    file.sync_all()
}
