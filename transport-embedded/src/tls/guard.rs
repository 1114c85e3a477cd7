//! Decides whether a chain of certificates is that of the server, for both TLS clients.

use heapless::Vec;
use pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::algorithms::{self, Checks, ServerKey};
use super::failure::{CertificateFault, TlsFailure};

/// The most certificates above the server's own. Arbitrary: public chains of today have up to three.
const INTERMEDIATES_MAX: usize = 4;
/// The most signature checks of one handshake, over all roots and all times that are tried.
///
/// The longest chain that is taken needs six: one for each of its five certificates, and one for the
/// server's proof that it holds its key. A wrong root costs one more only if it has the right one's
/// name. Arbitrary: as many again for such roots. Without this bound webpki tries the certificates in
/// every order, and four of a root's name make 65 checks for each root and each time.
const CHECKS_MAX: u8 = 12;
/// How often the time is moved when expiry is not checked: once for each certificate on a path.
const TIME_STEPS: usize = INTERMEDIATES_MAX + 1;

const TOO_COMPLEX: TlsFailure = TlsFailure::Certificate(CertificateFault::TooComplex);

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
    checks: Checks,
}

impl<'g> Guard<'g> {
    pub(super) const fn new(roots: &'g [&'g [u8]], name: &'g ServerName<'g>, now: Now) -> Self {
        Self { roots, name, now, checks: Checks::new(CHECKS_MAX) }
    }

    /// Checks a server's chain of certificates in DER, its own first; returns the key that the server
    /// must prove that it holds.
    pub(super) fn authenticate<'c>(
        &self,
        certificates: impl Iterator<Item = &'c [u8]>,
    ) -> Result<ServerKey, TlsFailure> {
        let mut chain = Vec::<CertificateDer<'_>, { INTERMEDIATES_MAX + 1 }>::new();
        for der in certificates {
            chain.push(CertificateDer::from(der)).map_err(|_| TOO_COMPLEX)?;
        }
        let (leaf, intermediates) = chain.split_first().ok_or(TlsFailure::NoCertificate)?;
        let server = EndEntityCert::try_from(leaf).map_err(|error| self.explain(&error, &chain))?;
        match self.verify_path(&server, intermediates) {
            Ok(()) => {}
            // `openssl req -x509` makes the certificates of self-signed servers as if they were a
            // CA's. One that is trusted itself may be a server's: webpki has found it in date
            // before it comes to this, and its name and key are still to be checked.
            Err(PathFailure::Path(webpki::Error::CaUsedAsEndEntity))
                if self.roots.contains(&leaf.as_ref()) => {}
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

    /// The signature checks that are left.
    pub(super) fn into_checks(self) -> Checks {
        self.checks
    }

    /// Looks for a path to each root in turn. Reports the most telling of the failures.
    fn verify_path(
        &self,
        server: &EndEntityCert<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), PathFailure> {
        let mut worst = PathFailure::Path(webpki::Error::UnknownIssuer);
        for (index, root) in self.roots.iter().enumerate() {
            let root = CertificateDer::from(*root);
            let result = match anchor_from_trusted_cert(&root) {
                Ok(anchor) => self.verify_to(server, intermediates, &[anchor]),
                Err(_) => Err(PathFailure::Root(index)),
            };
            match result {
                Ok(()) => return Ok(()),
                Err(failure) if self.checks.is_exceeded() => return Err(failure),
                Err(failure) => {
                    if matches!(worst, PathFailure::Path(webpki::Error::UnknownIssuer)) {
                        worst = failure;
                    }
                }
            }
        }
        Err(worst)
    }

    fn verify_to(
        &self,
        server: &EndEntityCert<'_>,
        intermediates: &[CertificateDer<'_>],
        anchors: &[pki_types::TrustAnchor<'_>],
    ) -> Result<(), PathFailure> {
        let verify = |seconds| {
            let time = UnixTime::since_unix_epoch(core::time::Duration::from_secs(seconds));
            let usage = KeyUsage::server_auth();
            self.checks.supported(|algorithms| {
                server
                    .verify_for_usage(algorithms, anchors, intermediates, time, usage, None, None)
                    .map(|_path| ())
            })
        };
        let (mut seconds, mut steps) = match self.now {
            Now::Known(seconds) => (seconds, 0),
            Now::Any => (0, TIME_STEPS),
        };
        loop {
            match verify(seconds) {
                // Only forward: each step makes one more certificate of the path valid.
                Err(webpki::Error::CertNotValidYet { not_before, .. }) if steps > 0 => {
                    seconds = not_before.as_secs();
                    steps -= 1;
                }
                result => return result.map_err(PathFailure::Path),
            }
        }
    }

    fn explain(&self, error: &webpki::Error, chain: &[CertificateDer<'_>]) -> TlsFailure {
        use webpki::Error as E;
        TlsFailure::Certificate(match error {
            // webpki takes a check that was refused for a wrong signature.
            _ if self.checks.is_exceeded() => CertificateFault::TooComplex,
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

enum PathFailure {
    Root(usize),
    Path(webpki::Error),
}
