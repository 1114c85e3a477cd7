//! Certificates, made when they are needed.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

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
    /// Good but by an authority that nobody trusts.
    Untrusted,
}

/// A certificate authority of its own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new authority.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "the tests' authority");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A server's configuration with a certificate by this authority, or for
    /// [`Certificate::Untrusted`] by one like it.
    #[must_use]
    pub fn server(&self, certificate: Certificate) -> Arc<ServerConfig> {
        let names = match certificate {
            Certificate::WrongName => ["other.test", "192.0.2.1"],
            _ => ["receiver.test", "127.0.0.1"],
        };
        let mut params = CertificateParams::new(names.map(str::to_owned)).unwrap();
        let (from, to) = match certificate {
            Certificate::Expired => (2000, 2001),
            Certificate::NotYetValid => (2090, 2091),
            _ => (2000, 2090),
        };
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().unwrap();
        let signed = match certificate {
            Certificate::Untrusted => params.signed_by(&key, &Self::new().issuer).unwrap(),
            _ => params.signed_by(&key, &self.issuer).unwrap(),
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
