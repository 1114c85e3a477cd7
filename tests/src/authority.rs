//! A certificate authority for the scenarios, whose certificates are made on demand.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ConfigBuilder, ServerConfig, SupportedProtocolVersion, WantsVerifier};

/// A certificate that a server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// For `receiver.test` and 127.0.0.1, valid, by the trusted authority.
    Good,
    /// Good once, until 2001.
    Expired,
    /// Good from 2090 on.
    NotYetValid,
    /// For `other.test` and 192.0.2.1.
    WrongName,
    /// Valid, but by an authority that is not trusted.
    Untrusted,
    /// The trusted authority's own, which is for `receiver.test` and 127.0.0.1 too, as that of a
    /// self-signed server is.
    Own,
    /// A self-signed one like it that is not trusted.
    UntrustedOwn,
}

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    own: rcgen::Certificate,
    pem: String,
}

impl Authority {
    /// A new authority.
    #[must_use]
    pub fn new() -> Self {
        Self::valid(2000, 2090)
    }

    /// A new authority whose own certificate is valid between the beginnings of these years.
    #[must_use]
    pub fn valid(from: i32, to: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(NAMES, from, to);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "the tests' authority");
        let own = params.self_signed(&key).unwrap();
        let pem = own.pem();
        Self { issuer: Issuer::new(params, key), own, pem }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A server's configuration with a certificate by this authority, or for the untrusted ones by
    /// another.
    #[must_use]
    pub fn server(&self, certificate: Certificate) -> Arc<ServerConfig> {
        let params = match certificate {
            Certificate::WrongName => params(["other.test", "192.0.2.1"], 2000, 2090),
            Certificate::Expired => params(NAMES, 2000, 2001),
            Certificate::NotYetValid => params(NAMES, 2090, 2091),
            _ => params(NAMES, 2000, 2090),
        };
        let key = KeyPair::generate().unwrap();
        match certificate {
            Certificate::Own => config(builder(), &self.own, self.issuer.key()),
            Certificate::UntrustedOwn => Self::new().server(Certificate::Own),
            Certificate::Untrusted => {
                config(builder(), &params.signed_by(&key, &Self::new().issuer).unwrap(), &key)
            }
            _ => config(builder(), &params.signed_by(&key, &self.issuer).unwrap(), &key),
        }
    }

    /// A good server of one version of TLS, for `Wire::seal`: rustls gives out
    /// the keys of its connections, and AES-128-GCM is the only cipher.
    #[must_use]
    pub fn sealing_server(&self, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites.retain(|suite| format!("{suite:?}").contains("AES_128_GCM"));
        let builder = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params(NAMES, 2000, 2090).signed_by(&key, &self.issuer).unwrap();
        config(builder, &certificate, &key)
    }
}

/// The names that the servers go by.
const NAMES: [&str; 2] = ["receiver.test", "127.0.0.1"];

fn params(names: [&str; 2], from: i32, to: i32) -> CertificateParams {
    let mut params = CertificateParams::new(names.map(str::to_owned)).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    params
}

type Builder = ConfigBuilder<ServerConfig, WantsVerifier>;

fn builder() -> Builder {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

fn config(builder: Builder, certificate: &rcgen::Certificate, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.enable_secret_extraction = true;
    Arc::new(config)
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
