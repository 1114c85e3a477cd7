//! Decides whether a chain of certificates is that of the server, for both TLS clients.
//!
//! In the handshake everything is checked but signatures, which are listed (`checks`). They are checked when
//! the handshake is over, with time for other tasks before each. One signature is never interrupted, and
//! neither is what a TLS client does in one go: the exchange of keys, and reading and hashing what the server
//! sent (`docs/sizes.md`).

use core::cell::Cell;

use heapless::Vec;
use pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

use super::algorithms::{self, ServerKey};
use super::checks::Checks;
use super::der;
use super::failure::{CertificateFault, TlsFailure};

/// The most certificates above the server's own. Arbitrary: public chains of today have up to three.
const INTERMEDIATES_MAX: usize = 4;
/// The most that names and name constraints in a chain may multiply to, each in bytes: webpki compares each
/// name with each constraint. Arbitrary: 20 names below an intermediate with 20 constraints.
const NAMES_MAX: usize = 1 << 17;
/// How often the time is moved when expiry is not checked: once for each certificate on a path.
const TIME_STEPS: usize = INTERMEDIATES_MAX + 1;

pub(super) const TOO_COMPLEX: TlsFailure = TlsFailure::Certificate(CertificateFault::TooComplex);

/// What is known about the time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Now {
    /// Seconds since 1970.
    Known(u64),
    /// Nothing: take the earliest time at which the whole path is valid.
    Any,
}

/// What a server is held against in one handshake.
#[derive(Debug)]
pub(super) struct Guard<'g> {
    roots: &'g [&'g [u8]],
    name: &'g ServerName<'g>,
    now: Now,
    checks: &'g Checks,
}

impl<'g> Guard<'g> {
    /// `checks` is empty.
    pub(super) const fn new(
        roots: &'g [&'g [u8]],
        name: &'g ServerName<'g>,
        now: Now,
        checks: &'g Checks,
    ) -> Self {
        Self { roots, name, now, checks }
    }

    /// Looks at a server's chain of certificates in DER, its own first, and lists the signatures that it
    /// depends on. Returns the key that the server must prove that it holds.
    pub(super) fn authenticate<'c>(
        &self,
        certificates: impl Iterator<Item = &'c [u8]>,
    ) -> Result<ServerKey, TlsFailure> {
        let mut chain = Vec::<CertificateDer<'_>, { INTERMEDIATES_MAX + 1 }>::new();
        for der in certificates {
            chain.push(CertificateDer::from(der)).map_err(|_| TOO_COMPLEX)?;
        }
        let (leaf, intermediates) = chain.split_first().ok_or(TlsFailure::NoCertificate)?;
        if bytes_of(SUBJECT_ALT_NAME, &chain) * bytes_of(NAME_CONSTRAINTS, intermediates)
            > NAMES_MAX
        {
            return Err(TOO_COMPLEX);
        }
        let server = EndEntityCert::try_from(leaf).map_err(|error| self.explain(&error, &chain))?;
        match self.find_paths(&server, intermediates) {
            Ok(()) => {}
            // `openssl req -x509` makes the certificates of self-signed servers as if they were a
            // CA's. One that is trusted itself may be a server's: webpki has found it in date
            // before it comes to this, and its name and key are still to be checked.
            Err(PathFailure::Path(webpki::Error::CaUsedAsEndEntity))
                if self.roots.contains(&leaf.as_ref()) =>
            {
                self.checks.end_path(0);
            }
            Err(PathFailure::Path(error)) => return Err(self.explain(&error, &chain)),
            Err(PathFailure::Root(index)) => return Err(TlsFailure::Root(index)),
        }
        server
            .verify_is_valid_for_subject_name(self.name)
            .map_err(|error| self.explain(&error, &chain))?;
        // The one way to a certificate's key without an allocator.
        let spki = anchor_from_trusted_cert(leaf).map_err(|error| self.explain(&error, &chain))?;
        ServerKey::new(&spki.subject_public_key_info).map_err(TlsFailure::UnsupportedAlgorithm)
    }

    /// Looks for paths to each root in turn. Reports the most telling of the failures if there is none.
    fn find_paths(
        &self,
        server: &EndEntityCert<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), PathFailure> {
        let mut worst = PathFailure::Path(webpki::Error::UnknownIssuer);
        for (index, root) in self.roots.iter().enumerate() {
            let root = CertificateDer::from(*root);
            let failure = match anchor_from_trusted_cert(&root) {
                Ok(anchor) => PathFailure::Path(self.find_paths_to(server, intermediates, &anchor)),
                Err(_) => PathFailure::Root(index),
            };
            if self.checks.has_overflowed() {
                break;
            }
            if matches!(worst, PathFailure::Path(webpki::Error::UnknownIssuer)) {
                worst = failure;
            }
        }
        if self.checks.has_path() { Ok(()) } else { Err(worst) }
    }

    /// Lists the paths to a root. Returns why there is no other.
    fn find_paths_to(
        &self,
        server: &EndEntityCert<'_>,
        intermediates: &[CertificateDer<'_>],
        anchor: &TrustAnchor<'_>,
    ) -> webpki::Error {
        let anchors = core::slice::from_ref(anchor);
        let found = Cell::new(false);
        let end = |path: &VerifiedPath<'_>| {
            if !path.intermediate_certificates().all(|ca| may_sign_certificates(&ca.der())) {
                return Err(webpki::Error::EndEntityUsedAsCa);
            }
            found.set(true);
            if self.checks.end_path(1 + path.intermediate_certificates().count()) {
                // The error makes webpki look for another path.
                return Err(webpki::Error::UnknownIssuer);
            }
            Ok(())
        };
        let find = |seconds| {
            let time = UnixTime::since_unix_epoch(core::time::Duration::from_secs(seconds));
            let usage = KeyUsage::server_auth();
            self.checks.listing(|algorithms| {
                server
                    .verify_for_usage(
                        algorithms,
                        anchors,
                        intermediates,
                        time,
                        usage,
                        None,
                        Some(&end),
                    )
                    .map_or_else(|error| error, |_| webpki::Error::UnknownIssuer)
            })
        };
        let (mut seconds, mut steps) = match self.now {
            Now::Known(seconds) => (seconds, 0),
            Now::Any => (0, TIME_STEPS),
        };
        loop {
            match find(seconds) {
                // Only forward, and only to the first path: each step makes one more certificate valid.
                webpki::Error::CertNotValidYet { not_before, .. } if steps > 0 && !found.get() => {
                    seconds = not_before.as_secs();
                    steps -= 1;
                }
                error => return error,
            }
        }
    }

    fn explain(&self, error: &webpki::Error, chain: &[CertificateDer<'_>]) -> TlsFailure {
        use webpki::Error as E;
        TlsFailure::Certificate(match error {
            // webpki takes a signature that was not listed for a wrong one.
            _ if self.checks.has_overflowed() => CertificateFault::TooComplex,
            E::UnknownIssuer => return TlsFailure::UnknownIssuer,
            E::CertNotValidForName(_) => return TlsFailure::WrongName,
            E::CertExpired { .. } => return TlsFailure::Expired,
            E::CertNotValidYet { .. } => return TlsFailure::NotYetValid,
            E::InvalidSignatureForPublicKey => return TlsFailure::CertificateSignature,
            E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                let chain = chain.iter().map(AsRef::as_ref).chain(self.roots.iter().copied());
                return TlsFailure::UnsupportedAlgorithm(algorithms::unsupported(chain));
            }
            E::CaUsedAsEndEntity => CertificateFault::CaAsServer,
            E::EndEntityUsedAsCa => CertificateFault::ServerAsCa,
            E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => CertificateFault::Usage,
            E::UnsupportedCriticalExtension => CertificateFault::CriticalExtension,
            E::NameConstraintViolation => CertificateFault::NameConstraint,
            E::PathLenConstraintViolated => CertificateFault::PathLength,
            E::MaximumPathBuildCallsExceeded
            | E::MaximumPathDepthExceeded
            | E::MaximumSignatureChecksExceeded
            | E::MaximumNameConstraintComparisonsExceeded => CertificateFault::TooComplex,
            _ => CertificateFault::Malformed,
        })
    }
}

// Extensions 2.5.29 (RFC 5280, section 4.2.1).
const KEY_USAGE: u8 = 15;
const SUBJECT_ALT_NAME: u8 = 17;
const NAME_CONSTRAINTS: u8 = 30;

/// How long this extension is, over all certificates.
fn bytes_of(extension: u8, certificates: &[CertificateDer<'_>]) -> usize {
    let found = certificates.iter().filter_map(|der| der::extension(der, extension));
    found.map(<[u8]>::len).sum()
}

/// Does a CA's key usage, if it has one, allow to sign certificates? webpki does not ask.
fn may_sign_certificates(ca: &[u8]) -> bool {
    const KEY_CERT_SIGN: u8 = 0x80 >> 5;
    der::extension(ca, KEY_USAGE).is_none_or(|usage| {
        // A BIT STRING begins with the number of its unused bits.
        matches!(der::contents(usage), Some(([_, bits, ..], _)) if bits & KEY_CERT_SIGN != 0)
    })
}

enum PathFailure {
    Root(usize),
    Path(webpki::Error),
}

#[cfg(test)]
#[cfg(feature = "tls")]
#[path = "guard_tests.rs"]
mod tests;
