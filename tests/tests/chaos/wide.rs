//! What receivers share that serve many connections at once, over TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pilot_webhook_tests::hostile_tls::Identity;
use pilot_webhook_tests::pki;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

/// A certificate for loopback and its key, in files: receivers are processes.
pub(crate) struct Wide {
    folder: TempDir,
}

impl Wide {
    pub(crate) fn new() -> Result<Self, String> {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])
            .map_err(|error| error.to_string())?;
        let wide = Self { folder: tempfile::tempdir().map_err(|error| error.to_string())? };
        let write = |path: PathBuf, contents: &[u8]| {
            std::fs::write(&path, contents).map_err(|error| format!("{}: {error}", path.display()))
        };
        write(wide.certificate(), made.cert.pem().as_bytes())?;
        write(key_in(wide.folder()), &made.signing_key.serialize_der())?;
        Ok(wide)
    }

    /// What the daemon is to trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        certificate_in(self.folder())
    }

    /// Where a receiver finds what it needs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn certificate_in(folder: &Path) -> PathBuf {
    folder.join("certificate.pem")
}

fn key_in(folder: &Path) -> PathBuf {
    folder.join("key.der")
}

/// A receiver's side of it.
pub(crate) fn load(folder: &Path) -> std::io::Result<Arc<ServerConfig>> {
    let certificate =
        CertificateDer::from_pem_file(certificate_in(folder)).map_err(std::io::Error::other)?;
    let key = std::fs::read(key_in(folder))?;
    Ok(Arc::new(pki::rustls(&Identity { chain: vec![certificate.to_vec()], key })))
}
