//! The secrets in files, and which of them is for which signature: the same for a sender and its receiver.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

/// A kind of signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sign {
    /// That of pilot's Go plugin, `X-Pilot-Signature-256`.
    Pilot,
    /// Those of Standard Webhooks, `webhook-signature`.
    StandardWebhooks,
}

/// The secrets in some files. Never printed.
pub struct Secrets {
    /// That of [`Sign::Pilot`], not empty.
    pub pilot: Option<Vec<u8>>,
    /// The texts of the keys of [`Sign::StandardWebhooks`], each with the file that it is in.
    pub keys: Vec<(PathBuf, String)>,
}

impl Secrets {
    /// Reads the files for these kinds of signatures. Pilot's secret is the first file, without the white space at its
    /// end; keys of Standard Webhooks are the words of the others. One file alone serves all kinds. `warn` is told of
    /// files that everybody can read.
    ///
    /// # Errors
    /// When there are too many or too few files or keys, or one of them cannot be read: in one line.
    pub fn read(
        kinds: &[Sign],
        files: &[PathBuf],
        mut warn: impl FnMut(String),
    ) -> Result<Self, String> {
        let (first, others) = files.split_first().ok_or("there is no file with a secret")?;
        let is_pilot = kinds.is_empty() || kinds.contains(&Sign::Pilot);
        let is_standard = kinds.contains(&Sign::StandardWebhooks);
        if !is_standard && !others.is_empty() {
            return Err("several secrets sign with --sign standard-webhooks only".to_owned());
        }
        let mut secrets = Self { pilot: None, keys: Vec::new() };
        let secret = read(first, &mut warn)?;
        if is_standard && (!is_pilot || others.is_empty()) {
            secrets.take_keys(first, &secret)?;
        }
        if is_pilot {
            secrets.pilot = Some(secret);
        }
        for path in others {
            secrets.take_keys(path, &read(path, &mut warn)?)?;
        }
        Ok(secrets)
    }

    fn take_keys(&mut self, path: &Path, secret: &[u8]) -> Result<(), String> {
        let text = str::from_utf8(secret).map_err(|_| format!("{}: not text", path.display()))?;
        let words = text.split_ascii_whitespace().map(|word| (path.to_owned(), word.to_owned()));
        self.keys.extend(words);
        Ok(())
    }

    /// The keys of Standard Webhooks, as `parse` reads them.
    ///
    /// # Errors
    /// When one is none: the file and the reason, in one line.
    pub fn keys<K, E: std::fmt::Display>(
        &self,
        parse: impl Fn(&str) -> Result<K, E>,
    ) -> Result<Vec<K>, String> {
        let keys = self.keys.iter();
        keys.map(|(path, text)| parse(text).map_err(|e| format!("{}: {e}", path.display())))
            .collect()
    }
}

/// The secret in a file, without the white space at its end. `warn` is told when everybody can read it.
///
/// # Errors
/// When it cannot be read, or is empty: in one line.
pub fn read(path: &Path, mut warn: impl FnMut(String)) -> Result<Vec<u8>, String> {
    let fail = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let mut secret = Vec::new();
    let mut file = File::open(path).map_err(|error| fail(&error))?;
    file.read_to_end(&mut secret).map_err(|error| fail(&error))?;
    secret.truncate(secret.trim_ascii_end().len());
    if secret.is_empty() {
        return Err(fail(&"the secret is empty"));
    }
    if file.metadata().is_ok_and(|found| everybody_can_read(&found)) {
        warn(fail(&"every user of this machine can read this secret (chmod 600 ends that)"));
    }
    Ok(secret)
}

#[cfg(unix)]
fn everybody_can_read(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.is_file() && found.mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn everybody_can_read(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Files with these contents, and what is read of them.
    fn read_all(kinds: &[Sign], contents: &[&str]) -> Result<(Option<String>, String), String> {
        let folder = tempfile::tempdir().unwrap();
        let file = |(index, content): (usize, &&str)| {
            let path = folder.path().join(index.to_string());
            fs::write(&path, content).unwrap();
            path
        };
        let files: Vec<_> = contents.iter().enumerate().map(file).collect();
        let secrets = Secrets::read(kinds, &files, |_| {})?;
        let keys: Vec<_> = secrets.keys.iter().map(|(_, key)| key.as_str()).collect();
        Ok((secrets.pilot.map(|pilot| String::from_utf8(pilot).unwrap()), keys.join(",")))
    }

    #[test]
    fn each_kind_has_its_files() {
        use Sign::{Pilot, StandardWebhooks};
        let pilot = |text: &str| Some(text.to_owned());
        for (kinds, contents, expected) in [
            (&[][..], &["a b\n"][..], (pilot("a b"), "")),
            (&[Pilot], &["a\n"], (pilot("a"), "")),
            (&[StandardWebhooks], &["a\nb\n\n", "c"], (None, "a,b,c")),
            (&[Pilot, StandardWebhooks], &["a\n"], (pilot("a"), "a")),
            (&[StandardWebhooks, Pilot], &["a b", "c\nd", "e"], (pilot("a b"), "c,d,e")),
        ] {
            let (pilot, keys) = read_all(kinds, contents).unwrap();
            assert_eq!((pilot, keys.as_str()), expected, "{kinds:?} {contents:?}");
        }
        for (kinds, contents, expected) in [
            (&[][..], &["a", "b"][..], "several secrets sign with --sign standard-webhooks only"),
            (&[Pilot], &["a", "b"], "several secrets sign with --sign standard-webhooks only"),
            (&[StandardWebhooks], &["a", " \n"], "the secret is empty"),
            (&[StandardWebhooks], &[], "no file"),
        ] {
            let error = read_all(kinds, contents).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_everybody_can_read_is_told() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "hush").unwrap();
        for (mode, warned) in [(0o600, 0), (0o640, 0), (0o644, 1), (0o604, 1)] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            let mut warnings = Vec::new();
            read(file.path(), |warning| warnings.push(warning)).unwrap();
            assert_eq!(warnings.len(), warned, "{mode:o}");
            assert!(warnings.iter().all(|warning| !warning.contains("hush")), "{warnings:?}");
        }
    }
}
