//! The token that the page asks for: the operator's own, or one that is made at the start.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pilot_webhook_std::replace_file;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::Failure;

/// The shortest token that is taken, in bytes. Arbitrary: what nobody guesses at the rate that guesses have.
const SHORTEST: usize = 16;

/// The operator's token.
///
/// # Errors
/// When the file cannot be read, or what is in it is short.
pub(super) fn of_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let fail = |what: String| Failure::usage(format!("{}: {what}", path.display()));
    let token = fs::read(path).map_err(|error| fail(error.to_string()))?;
    let token = token.trim_ascii_end();
    if token.len() < SHORTEST {
        return Err(fail(format!("a token has {SHORTEST} bytes at least")));
    }
    if !token.iter().all(u8::is_ascii_graphic) {
        return Err(fail("a token is of printable ASCII, without spaces".to_owned()));
    }
    Ok(token.to_vec())
}

/// Makes a token and writes it to a file that only this user can read. A file that is there is replaced.
///
/// # Errors
/// When it cannot be written.
pub(super) fn make(path: &Path) -> Result<Vec<u8>, Failure> {
    let token = random_hex().map_err(Failure::runtime)?;
    replace_file(path, format!("{token}\n").as_bytes(), None).map_err(|error| {
        let path = path.display();
        Failure::runtime(format!("{path}: {error}; --admin-token-file names another place"))
    })?;
    Ok(token.into_bytes())
}

/// Whether there is a token, or a place for a new one. Nothing is made, and a pipe is not read.
///
/// # Errors
/// When there is not.
pub(super) fn check(
    file: Option<&Path>,
    home: Option<&Path>,
    socket: Option<&Path>,
) -> Result<(), Failure> {
    match file {
        Some(path) if path.metadata().is_ok_and(|found| !found.is_file()) => Ok(()),
        Some(path) => of_file(path).map(drop),
        None => place(home, socket, 0).map(drop),
    }
}

/// Where the made token of the address with this port is: in the first of these directories that there is.
///
/// # Errors
/// When there is none.
pub(super) fn place(
    home: Option<&Path>,
    socket: Option<&Path>,
    port: u16,
) -> Result<PathBuf, Failure> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty());
    let beside = socket.map(|socket| match socket.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    });
    let directory = home.map(Path::to_owned).or(runtime.map(PathBuf::from)).or(beside);
    let directory = directory.ok_or_else(|| {
        Failure::usage(
            "--admin needs a place for its token: give --admin-token-file, or --home, or set XDG_RUNTIME_DIR",
        )
    })?;
    Ok(directory.join(format!("pilot-webhookd-{port}.token")))
}

/// 32 random bytes of the system, in hex.
pub(super) fn random_hex() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_made_token_is_long_new_and_for_its_user_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = place(Some(directory.path()), None, 9912).unwrap();
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let first = make(&path).unwrap();
        assert_eq!(of_file(&path).unwrap(), first);
        assert_eq!(first.len(), 64);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(make(&path).unwrap(), first);
    }

    #[test]
    fn a_short_token_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        for (text, is_taken) in [
            ("0123456789abcdef\n", true),
            ("0123456789abcde\n\n", false),
            ("", false),
            ("0123456789 abcdef", false),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(of_file(&path).is_ok(), is_taken, "{text}");
        }
    }

    #[test]
    fn the_first_place_for_a_token_is_the_home() {
        let home = place(Some(Path::new("/h")), Some(Path::new("/s/x.sock")), 1).unwrap();
        assert_eq!(home, Path::new("/h/pilot-webhookd-1.token"));
    }
}
