//! Chains of certificates of the shapes that the best-known public receivers have.
//!
//! As known in 2025: kinds of keys and signatures, and which certificates are sent. Names are theirs, keys are ours.
//! CAs replace intermediates without notice, and roots in years.

use rcgen::{CertificateParams, CustomExtension};

use crate::hostile_tls::Identity;
use crate::pki::Kind::{P256, P384, Rsa, Rsa4096, Rsa4096Sha384, RsaSha384};
use crate::pki::{self, Authority, Kind};

/// A kind of receiver.
#[derive(Debug)]
pub struct Receiver {
    /// Who has such a chain.
    pub name: &'static str,
    /// The features of the node that verify it.
    pub needs: &'static [&'static str],
    /// From the trusted root down to the CA that issues the server's certificate.
    cas: &'static [(&'static str, Kind)],
    /// The key in the server's certificate.
    server: Kind,
    /// Certificates of the root by older roots, which servers send for the sake of old clients.
    older: &'static [(&'static str, Kind)],
}

/// All of them.
pub const RECEIVERS: [Receiver; 10] = [
    Receiver {
        name: "Let's Encrypt, ECDSA, trusted at ISRG Root X2",
        needs: &["p384"],
        cas: &[("ISRG Root X2", P384), ("E7", P384)],
        server: P256,
        older: &[],
    },
    Receiver {
        name: "Let's Encrypt, ECDSA, trusted at ISRG Root X1",
        needs: &["p384", "rsa"],
        cas: &[("ISRG Root X1", Rsa4096), ("E7", P384)],
        server: P256,
        older: &[],
    },
    Receiver {
        name: "Let's Encrypt, RSA",
        needs: &["rsa"],
        cas: &[("ISRG Root X1", Rsa4096), ("R12", Rsa)],
        server: Rsa,
        older: &[],
    },
    Receiver {
        name: "Google, Cloudflare, Discord",
        needs: &["p384"],
        cas: &[("GTS Root R4", P384), ("WE1", P256)],
        server: P256,
        older: &[("GlobalSign Root CA", Rsa)],
    },
    Receiver {
        name: "Amazon (API Gateway, load balancers)",
        needs: &["rsa"],
        cas: &[("Amazon Root CA 1", Rsa), ("Amazon RSA 2048 M04", Rsa)],
        server: Rsa,
        older: &[("Starfield Services Root Certificate Authority - G2", Rsa), ("Starfield", Rsa)],
    },
    Receiver {
        name: "DigiCert, RSA (Slack)",
        needs: &["rsa"],
        cas: &[
            ("DigiCert Global Root G2", Rsa),
            ("DigiCert Global G2 TLS RSA SHA256 2020 CA1", Rsa),
        ],
        server: Rsa,
        older: &[],
    },
    Receiver {
        name: "DigiCert, ECC",
        needs: &["p384"],
        cas: &[
            ("DigiCert Global Root G3", P384),
            ("DigiCert Global G3 TLS ECC SHA384 2020 CA1", P384),
        ],
        server: P256,
        older: &[],
    },
    Receiver {
        name: "Sectigo, ECC (GitHub)",
        needs: &["p384"],
        cas: &[
            ("USERTrust ECC Certification Authority", P384),
            ("Sectigo ECC Domain Validation Secure Server CA", P256),
        ],
        server: P256,
        older: &[],
    },
    Receiver {
        name: "Sectigo, RSA",
        needs: &["rsa"],
        cas: &[
            ("USERTrust RSA Certification Authority", Rsa4096Sha384),
            ("Sectigo RSA Domain Validation Secure Server CA", Rsa),
        ],
        server: Rsa,
        older: &[],
    },
    Receiver {
        name: "Microsoft Azure",
        needs: &["rsa"],
        cas: &[
            ("DigiCert Global Root G2", RsaSha384),
            ("Microsoft Azure RSA TLS Issuing CA 07", Rsa4096Sha384),
        ],
        server: Rsa,
        older: &[],
    },
];

impl Receiver {
    /// A server of this kind with this name, and the root to trust.
    #[must_use]
    pub fn chain(&self, host: &str) -> (Identity, Vec<u8>) {
        let mut cas = self.cas.iter();
        let (root_name, kind) = cas.next().unwrap();
        let root = Authority::of(*kind, pki::ca(root_name));
        let issuer = cas.fold(None, |above: Option<Authority>, (name, kind)| {
            Some(above.as_ref().unwrap_or(&root).below(*kind, pki::ca(name)))
        });
        let mut identity = issuer.as_ref().unwrap_or(&root).issue(self.server, leaf(host));
        let mut above = Vec::new();
        for (name, kind) in self.older {
            let older = Authority::of(*kind, pki::ca(name));
            let (name, ca) = above.last().map_or((root_name, &root), |(name, ca)| (name, ca));
            identity.chain.push(ca.cross_signed(&older, &pki::ca(name)));
            above.push((*name, older));
        }
        (identity, root.root().to_vec())
    }
}

/// About as long as those of public CAs, which tell policies, transparency logs, and where lists are.
fn leaf(host: &str) -> CertificateParams {
    let mut params = pki::leaf_for(host);
    let rest = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55_555, 2], vec![5; 500]);
    params.custom_extensions.push(rest);
    params
}
