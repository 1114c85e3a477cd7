//! TLS with certificates made at the start, for trying things out.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The longest a handshake may take. Arbitrary: longer than any sender waits.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a receiver speaks TLS with: a certificate of a CA of its own, both with ECDSA keys on P-256,
/// which every sender can verify. The keys are in memory only; the next start makes others.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    ca: Arc<rcgen::Certificate>,
}

impl Tls {
    /// A new CA, and a certificate of it for `names`: host names and IP addresses.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn new(names: &[String]) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::new([])?;
        ca.distinguished_name.push(DnType::CommonName, "pilot-webhook-receiver's CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = Arc::new(ca.self_signed(&ca_key)?);

        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new(names)?;
        server.distinguished_name.push(DnType::CommonName, "pilot-webhook-receiver");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let server = server.signed_by(&key, &Issuer::new(ca, ca_key))?;
        let key = PrivateKeyDer::try_from(key.serialize_der())?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![server.der().clone()], key)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca: certificate })
    }

    /// The CA's certificate in PEM, which a sender on std is to trust.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.ca.pem()
    }

    /// The CA's certificate in DER, which a node is to trust.
    #[must_use]
    pub fn ca_der(&self) -> &[u8] {
        self.ca.der()
    }

    /// None when the client does not trust it, or is no client.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream)).await.ok()?.ok()
    }
}
