//! A certificate authority for the scenarios, whose certificates are made on demand.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyUsagePurpose, date_time_ymd};
use rustls::crypto::ring;
use rustls::{ServerConfig, SupportedProtocolVersion};

use crate::pki::{self, Kind};

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

/// A certificate authority whose certificates are good today.
pub struct Authority(pki::Authority);

impl Authority {
    /// A new authority.
    #[must_use]
    pub fn new() -> Self {
        Self::valid(2000, 2090)
    }

    /// A new authority whose own certificate is valid between the beginnings of these years.
    #[must_use]
    pub fn valid(from: i32, to: i32) -> Self {
        let mut params = params(NAMES, from, to);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "the tests' authority");
        Self(pki::Authority::of(Kind::P256, params))
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
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
        let identity = match certificate {
            Certificate::Own => self.0.itself(),
            Certificate::UntrustedOwn => Self::new().0.itself(),
            Certificate::Untrusted => Self::new().0.issue(Kind::P256, params),
            _ => self.0.issue(Kind::P256, params),
        };
        Arc::new(pki::rustls(&identity))
    }

    /// A good server of one version of TLS, for `Wire::seal`: rustls gives out the keys of its
    /// connections, and AES-128-GCM is the only cipher.
    #[must_use]
    pub fn sealing_server(&self, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        let mut provider = ring::default_provider();
        provider.cipher_suites.retain(|suite| format!("{suite:?}").contains("AES_128_GCM"));
        let identity = self.0.issue(Kind::P256, params(NAMES, 2000, 2090));
        let mut config = pki::rustls_by(provider, &identity, &[version]);
        config.enable_secret_extraction = true;
        Arc::new(config)
    }
}

/// The names that the servers go by.
const NAMES: [&str; 2] = ["receiver.test", "127.0.0.1"];

fn params(names: [&str; 2], from: i32, to: i32) -> CertificateParams {
    let mut params = CertificateParams::new(names.map(str::to_owned)).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    params
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
