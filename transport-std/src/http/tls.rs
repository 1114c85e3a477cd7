//! The TLS configuration: trust roots of the system and of CA files, and the server's name.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pilot_webhook_core::Host;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor};
use rustls::{ClientConfig, RootCertStore};

use crate::http::identity::{Identity, IdentityFiles, invalid};
use crate::http::pinned::PinningVerifier;
use crate::http::report::Shown;

/// Why the shared part of the transports cannot be built. The operator corrects the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum HttpConfigError {
    /// The CA file cannot be read.
    CaUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The CA file is no PEM, or a certificate in it is none.
    CaInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The CA file holds no certificate.
    CaEmpty {
        /// The file.
        path: PathBuf,
    },
    /// The origin of the handshake is no name that a header can hold.
    Origin,
    /// The file of the client's certificate or key cannot be read.
    ClientUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The client's certificate or key is none, or the two do not belong together.
    ClientInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library does not accept the configuration. A bug here.
    Tls(rustls::Error),
}

impl fmt::Display for HttpConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin => f.write_str("the origin of the handshake must be a name"),
            Self::CaUnreadable { path, error } => {
                let path = path.display();
                write!(f, "cannot read the CA file {path}: {error}; check its name and rights")
            }
            Self::CaInvalid { path, reason } => {
                let path = path.display();
                write!(f, "the CA file {path} is not valid: {reason}; export it as PEM")
            }
            Self::CaEmpty { path } => {
                let path = path.display();
                write!(
                    f,
                    "the CA file {path} holds no certificate: it needs a PEM block BEGIN CERTIFICATE"
                )
            }
            Self::ClientUnreadable { path, error } => {
                write!(f, "cannot read {} for the client certificate: {error}", path.display())
            }
            Self::ClientInvalid { path, reason } => {
                write!(f, "{} does not do for a client certificate: {reason}", path.display())
            }
            Self::Tls(error) => write!(f, "TLS cannot be set up: {error}"),
        }
    }
}

impl Error for HttpConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::CaUnreadable { error, .. } | Self::ClientUnreadable { error, .. } => Some(error),
            Self::Tls(error) => Some(error),
            Self::CaInvalid { .. } | Self::CaEmpty { .. } => None,
            Self::ClientInvalid { .. } | Self::Origin => None,
        }
    }
}

/// How connections are made: the configuration, and the verifier that is in it.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    verifier: Arc<PinningVerifier>,
}

impl Tls {
    /// The verifier of servers' certificates.
    #[cfg(feature = "reqwest")]
    pub(crate) fn verifier(&self) -> &PinningVerifier {
        &self.verifier
    }

    /// The configuration of one connection, whose certificate is left there.
    pub(crate) fn showing(&self, shown: Shown) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        config.dangerous().set_certificate_verifier(Arc::new(self.verifier.showing(shown)));
        Arc::new(config)
    }
}

/// The certificates that are trusted.
#[derive(PartialEq)]
pub(crate) struct Roots {
    /// Those that may sign others.
    anchors: Vec<TrustAnchor<'static>>,
    /// Those of the CA files, which may also stand for themselves.
    pinned: Vec<CertificateDer<'static>>,
    /// What this side shows, and the file that it is from.
    identity: Option<(Identity, PathBuf)>,
}

/// Where it stands whom TLS trusts, and what it shows.
#[derive(PartialEq)]
pub(crate) struct TrustFiles {
    pub(crate) system_roots: bool,
    pub(crate) ca_files: Vec<PathBuf>,
    pub(crate) identity: Option<IdentityFiles>,
}

impl TrustFiles {
    /// All files that are read, but for the system's.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let identity = self.identity.iter().flat_map(|files| [&files.certificate, &files.key]);
        self.ca_files.iter().chain(identity)
    }
}

impl Roots {
    /// Reads the system's, if they are wanted, and what is in the files.
    pub(crate) fn read(files: &TrustFiles) -> Result<Self, HttpConfigError> {
        let TrustFiles { system_roots, ca_files, identity } = files;
        let mut store = RootCertStore::empty();
        let mut pinned = Vec::new();
        for path in ca_files {
            pinned.extend(add_ca_file(&mut store, path)?);
        }
        if *system_roots {
            // A system's store often holds a certificate or two that cannot be parsed.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        let read = |files: &IdentityFiles| Ok((files.read()?, files.certificate.clone()));
        let identity = identity.as_ref().map(read).transpose()?;
        Ok(Self { anchors: store.roots, pinned, identity })
    }

    /// The TLS side of all connections, sessions to resume included. `None` when there is no
    /// trusted root.
    pub(crate) fn tls(&self) -> Result<Option<Tls>, HttpConfigError> {
        if self.anchors.is_empty() {
            return Ok(None);
        }
        let store = RootCertStore { roots: self.anchors.clone() };
        // Named here, so that a process with two providers linked in does not have to choose one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = PinningVerifier::new(store, self.pinned.clone(), Arc::clone(&provider))
            .map_err(HttpConfigError::Tls)?;
        let verifier = Arc::new(verifier);
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(HttpConfigError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone());
        let mut config = match self.identity.clone() {
            None => config.with_no_client_auth(),
            Some((Identity { chain, key }, path)) => config
                .with_client_auth_cert(chain, key)
                .map_err(|error| invalid(&path, error.to_string()))?,
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Tls { config: Arc::new(config), verifier }))
    }
}

/// Adds the certificates of a file, and returns them.
fn add_ca_file(
    roots: &mut RootCertStore,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, HttpConfigError> {
    let pem = std::fs::read(path)
        .map_err(|error| HttpConfigError::CaUnreadable { path: path.into(), error })?;
    let invalid = |reason: String| HttpConfigError::CaInvalid { path: path.into(), reason };
    let mut added = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error: pem::Error| invalid(error.to_string()))?;
        roots.add(certificate.clone()).map_err(|error| invalid(error.to_string()))?;
        added.push(certificate);
    }
    if added.is_empty() { Err(HttpConfigError::CaEmpty { path: path.into() }) } else { Ok(added) }
}

/// The name or address that the server's certificate must be for.
pub(crate) fn server_name(host: Host<'_>) -> Option<ServerName<'static>> {
    match host {
        Host::Address(address) => Some(ServerName::IpAddress(address.into())),
        Host::Name(name) => {
            // Certificates do not know the root's dot.
            let name = name.strip_suffix('.').unwrap_or(name);
            ServerName::try_from(name).ok().map(|name| name.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ca_files: &[PathBuf]) -> Result<Roots, HttpConfigError> {
        let ca_files = ca_files.to_vec();
        Roots::read(&TrustFiles { system_roots: false, ca_files, identity: None })
    }

    fn error_of(ca_files: &[PathBuf]) -> String {
        read(ca_files).err().unwrap().to_string()
    }

    fn error_for(name: &str, contents: &[u8]) -> String {
        let path = std::env::temp_dir().join(format!("pilot-{}-{name}", std::process::id()));
        std::fs::write(&path, contents).unwrap();
        let error = error_of(std::slice::from_ref(&path));
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains(&path.display().to_string()), "{error}");
        error
    }

    #[test]
    fn an_error_names_the_file_and_what_to_do() {
        let text = error_of(&["/does/not/exist.pem".into()]);
        assert!(text.contains("/does/not/exist.pem") && text.contains("check its name"), "{text}");
        assert!(error_for("empty.pem", b"").contains("holds no certificate"));
        assert!(error_for("text.pem", b"hello\n").contains("BEGIN CERTIFICATE"));
        let block = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(error_for("junk.pem", block).contains("export it as PEM"));
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(error_for("cut.pem", cut).contains("not valid"));
    }

    #[test]
    fn without_roots_there_is_no_tls() {
        assert!(read(&[]).unwrap().tls().unwrap().is_none());
    }

    #[test]
    fn hosts_are_verified_by_name_without_the_roots_dot_or_by_address() {
        let dotted = server_name(Host::Name("example.com.")).unwrap();
        assert_eq!(dotted, ServerName::try_from("example.com").unwrap());
        let address = server_name(Host::Address([127, 0, 0, 1].into())).unwrap();
        assert_eq!(address, ServerName::try_from("127.0.0.1").unwrap());
    }
}
