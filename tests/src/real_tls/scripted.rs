//! Servers that are a few lines in another language, in `tests/real_tls`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{Cipher, Group, Setting, Started, Unstarted, on_a_free_port};

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("real_tls")
}

pub(super) fn go(folder: &Path, setting: Setting) -> Started {
    let option = match setting {
        Setting::Usual => "usual",
        Setting::Only(Group::X25519) => "X25519",
        Setting::Only(Group::P256) => "P-256",
        Setting::Only(Group::P384) => "P-384",
        Setting::AsksForCertificate => "asks",
        Setting::WantsCertificate => "wants",
        Setting::LongAnswer => "long",
        Setting::Tls12 => "1.2",
        // Its ciphers and records are its own choice.
        Setting::With(_) | Setting::OtherGroups | Setting::ShortRecords | Setting::KeyUpdate => {
            return Err(Unstarted::Unable);
        }
    };
    static BUILT: OnceLock<Result<tempfile::TempDir, std::io::ErrorKind>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().map_err(|error| error.kind())?;
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(folder.path().join("server")).arg(scripts().join("server.go"));
        let output = go.output().map_err(|error| error.kind())?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(folder)
    });
    let built = built.as_ref().map_err(|kind| std::io::Error::from(*kind))?;
    on_a_free_port(folder, |port| {
        let mut command = Command::new(built.path().join("server"));
        command.args([&port.to_string(), option]);
        command
    })
}

pub(super) fn node(folder: &Path, setting: Setting) -> Started {
    let options = match setting {
        Setting::Usual => "{}".to_owned(),
        Setting::Only(Group::X25519) => r#"{"ecdhCurve": "X25519"}"#.into(),
        Setting::Only(Group::P256) => r#"{"ecdhCurve": "P-256"}"#.into(),
        Setting::Only(Group::P384) => r#"{"ecdhCurve": "P-384"}"#.into(),
        Setting::OtherGroups => {
            format!(r#"{{"ecdhCurve": "{}"}}"#, super::configured::OTHER_GROUPS)
        }
        Setting::With(cipher) => format!(r#"{{"ciphers": "{}"}}"#, Cipher::name(cipher)),
        Setting::AsksForCertificate => {
            r#"{"requestCert": true, "rejectUnauthorized": false}"#.into()
        }
        Setting::WantsCertificate => r#"{"requestCert": true}"#.into(),
        Setting::LongAnswer => r#"{"long": true}"#.into(),
        Setting::Tls12 => r#"{"maxVersion": "TLSv1.2"}"#.into(),
        Setting::ShortRecords | Setting::KeyUpdate => return Err(Unstarted::Unable),
    };
    on_a_free_port(folder, |port| {
        let mut command = Command::new("node");
        command.arg(scripts().join("server.js")).args([&port.to_string(), &options]);
        command
    })
}
