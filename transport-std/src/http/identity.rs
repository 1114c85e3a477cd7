//! The certificate that this side shows to servers that ask for one (mTLS).

use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::http::tls::HttpConfigError;

/// Where it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IdentityFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// A certificate with those between it and its authority, and its key.
#[derive(PartialEq)]
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl IdentityFiles {
    pub(crate) fn read(&self) -> Result<Identity, HttpConfigError> {
        let (path, pem) = (&self.certificate, read(&self.certificate)?);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.map_err(|error| invalid(path, error.to_string()))?;
        if chain.is_empty() {
            return Err(invalid(path, "it holds no PEM block BEGIN CERTIFICATE".to_owned()));
        }
        // What is wrong with a key says nothing of what is in it.
        let no_key =
            |_| invalid(&self.key, "it holds no private key in PEM, without a password".to_owned());
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(no_key)?;
        Ok(Identity { chain, key })
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, HttpConfigError> {
    fs::read(path).map_err(|error| HttpConfigError::ClientUnreadable { path: path.into(), error })
}

pub(crate) fn invalid(path: &Path, reason: String) -> HttpConfigError {
    HttpConfigError::ClientInvalid { path: path.into(), reason }
}
