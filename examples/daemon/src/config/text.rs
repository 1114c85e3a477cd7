//! The text of a configuration: bounded, UTF-8, with numbers of lines.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::Failure;

/// The longest file that is read. Arbitrary: some ten thousand endpoints.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Reads a configuration. A byte order mark before it is passed over.
///
/// # Errors
/// When it cannot be read, is too long, or is not UTF-8.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let fail = |what: &str| Failure::usage(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|error| fail(&error.to_string()))?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| fail(&error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fail(&format!("longer than {} MiB", MAX_BYTES >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count();
        Failure::usage(format!("{}:{line}: not UTF-8; save the file as UTF-8", path.display()))
    })?;
    match text.strip_prefix('\u{FEFF}') {
        Some(rest) => Ok(rest.to_owned()),
        None => Ok(text),
    }
}

/// Where the lines of a text begin.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn new(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(breaks.map(|(at, _)| at).collect())
    }

    /// The number of the line that a byte is in.
    pub(super) fn number(&self, at: usize) -> usize {
        1 + self.0.partition_point(|end| *end < at)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    fn read(bytes: &[u8]) -> Result<String, String> {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, bytes).unwrap();
        super::read(&path).map_err(|failure| failure.message.replace(path.to_str().unwrap(), "f"))
    }

    #[test]
    fn a_file_is_bounded_text() {
        assert_eq!(read(b"\xEF\xBB\xBFa = 1\n"), Ok("a = 1\n".to_owned()));
        assert_eq!(
            read(b"a = 1\nb = \"\xFF\"\n"),
            Err("f:2: not UTF-8; save the file as UTF-8".to_owned())
        );
        assert_eq!(read(&vec![b'\n'; 4 << 20]).map(|text| text.len()), Ok(4 << 20));
        assert_eq!(read(&vec![b'\n'; (4 << 20) + 1]), Err("f: longer than 4 MiB".to_owned()));
        let message = super::read(Path::new("/")).err().unwrap().message;
        assert!(message.starts_with("/: "), "{message}");
        assert!(super::read(&PathBuf::from("/none")).is_err());
    }
}
