//! Public CAs to trust.

/// The roots above the servers of Let's Encrypt, Google, Amazon, DigiCert, Sectigo and Microsoft, as trusted
/// certificates for a runner's `run` and for [`Tls::new`](crate::Tls::new).
///
/// They are taken from the newest `webpki-roots` (Mozilla's list) that the program's lock file has: `cargo update`
/// renews them. Each is a certificate with a subject and a key, and nothing else. Only those are there whose
/// signatures can be verified with the features that are on:
///
/// | key | feature | roots |
/// |---|---|---|
/// | P-256 | | Amazon Root CA 3 |
/// | P-384 | `p384` | ISRG Root X2, GTS Root R4, Amazon Root CA 4, DigiCert Global Root G3 and TLS ECC P384 Root G5, USERTrust ECC, Sectigo E46, Microsoft ECC 2017 |
/// | RSA | `rsa` | ISRG Root X1, GTS Root R1, Amazon Root CA 1 and 2, DigiCert Global Root G2 and TLS RSA4096 Root G5, USERTrust RSA, Sectigo R46, Microsoft RSA 2017 |
///
/// A node that talks to one server needs only that server's root, and is safer with it: any of these CAs can issue a
/// certificate for any name.
pub static ROOTS: &[&[u8]] = &include!(concat!(env!("OUT_DIR"), "/roots.rs"));
