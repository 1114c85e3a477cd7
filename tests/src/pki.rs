//! Certificates of every kind, right and wrong.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CidrSubnet, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
    PKCS_RSA_SHA384, SignatureAlgorithm, date_time_ymd,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, SupportedProtocolVersion};

use crate::hostile_tls::Identity;

/// Keys that openssl made for these tests (`openssl genpkey -algorithm RSA`), because ring makes none.
const RSA_KEY: &str = include_str!("../data/rsa-key.pem");
const RSA_4096_KEY: &str = include_str!("../data/rsa-4096-key.pem");

/// The name in good certificates.
pub const NAME: &str = "receiver.test";

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ECDSA on P-256, signing with SHA-256.
    P256,
    /// ECDSA on P-384, signing with SHA-384.
    P384,
    /// RSA of 2,048 bits, PKCS#1 v1.5 with SHA-256.
    Rsa,
    /// The same with SHA-384.
    RsaSha384,
    /// RSA of 4,096 bits, PKCS#1 v1.5 with SHA-256.
    Rsa4096,
    /// The same with SHA-384.
    Rsa4096Sha384,
    /// Ed25519.
    Ed25519,
}

impl Kind {
    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::P256 => &PKCS_ECDSA_P256_SHA256,
            Self::P384 => &PKCS_ECDSA_P384_SHA384,
            Self::Rsa | Self::Rsa4096 => &PKCS_RSA_SHA256,
            Self::RsaSha384 | Self::Rsa4096Sha384 => &PKCS_RSA_SHA384,
            Self::Ed25519 => &PKCS_ED25519,
        }
    }

    /// A new key, or for RSA always the same.
    pub fn key(self) -> KeyPair {
        let pem = match self {
            Self::Rsa | Self::RsaSha384 => RSA_KEY,
            Self::Rsa4096 | Self::Rsa4096Sha384 => RSA_4096_KEY,
            kind => return KeyPair::generate_for(kind.algorithm()).unwrap(),
        };
        KeyPair::from_pkcs8_pem_and_sign_algo(pem, self.algorithm()).unwrap()
    }
}

/// A valid server certificate, to be modified.
pub fn leaf() -> CertificateParams {
    leaf_for(NAME)
}

/// The same for another name or address.
pub fn leaf_for(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "a receiver");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    lasting(params)
}

/// A CA's certificate.
pub fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    lasting(params)
}

/// Valid as long as these tests may be run, whether their clock stands still or is the host's.
fn lasting(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params
}

/// Good once, until 2021.
pub fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    params
}

/// Good from 2090 on.
pub fn not_yet_valid(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2090, 1, 1);
    params.not_after = date_time_ymd(2091, 1, 1);
    params
}

/// Not for servers.
pub fn for_clients(mut params: CertificateParams) -> CertificateParams {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// With a critical extension that no implementation knows.
pub fn with_critical_extension(mut params: CertificateParams) -> CertificateParams {
    let mut extension =
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55_555, 1], vec![5, 0]);
    extension.set_criticality(true);
    params.custom_extensions.push(extension);
    params
}

/// May only certify `other.test` and 192.0.2.0/24.
pub fn constrained(mut params: CertificateParams) -> CertificateParams {
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("other.test".into()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([192, 0, 2, 0], 24)),
        ],
        excluded_subtrees: Vec::new(),
    });
    params
}

/// A CA, and what it issues.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    /// Certificates between this and the root, itself first.
    chain: Vec<Vec<u8>>,
}

impl Authority {
    /// A root on P-256.
    pub fn new() -> Self {
        Self::of(Kind::P256, ca("the tests' root"))
    }

    /// A root.
    pub fn of(kind: Kind, params: CertificateParams) -> Self {
        let key = kind.key();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate, chain: Vec::new() }
    }

    /// A CA below this one, or something that poses as one.
    pub fn below(&self, kind: Kind, params: CertificateParams) -> Self {
        let key = kind.key();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = [&[certificate.der().to_vec()], &self.chain[..]].concat();
        Self { issuer: Issuer::new(params, key), certificate, chain }
    }

    /// Another certificate with this one's key, by another authority.
    pub fn cross_signed(&self, by: &Self, params: &CertificateParams) -> Vec<u8> {
        params.signed_by(self.issuer.key(), &by.issuer).unwrap().der().to_vec()
    }

    /// The certificate to trust, in DER.
    pub fn root(&self) -> &[u8] {
        self.certificate.der()
    }

    /// The same in PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// This certificate as a server's own.
    pub fn itself(&self) -> Identity {
        Identity { chain: vec![self.root().to_vec()], key: self.issuer.key().serialize_der() }
    }

    /// Certifies a server.
    #[allow(clippy::needless_pass_by_value, reason = "parameters are made where they are used")]
    pub fn issue(&self, kind: Kind, params: CertificateParams) -> Identity {
        let key = kind.key();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Identity { chain: [&[der], &self.chain[..]].concat(), key: key.serialize_der() }
    }

    /// A good server on P-256.
    pub fn server(&self) -> Identity {
        self.issue(Kind::P256, leaf())
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A rustls server's configuration.
pub fn rustls(identity: &Identity) -> ServerConfig {
    rustls_versions(identity, rustls::ALL_VERSIONS)
}

/// The same with these versions of TLS.
pub fn rustls_versions(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    rustls_by(ring::default_provider(), identity, versions)
}

/// The same with this cryptography.
pub fn rustls_by(
    provider: CryptoProvider,
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let chain = identity.chain.iter().cloned().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::Pkcs8(identity.key.clone().into());
    let key = ring::sign::any_supported_type(&key).unwrap();
    // Not `with_single_cert`, which refuses what clients are to refuse.
    let resolver = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(std::sync::Arc::new(resolver))
}
