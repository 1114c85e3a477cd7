//! Verifies servers for rustls as [`Guard`] does it, and keeps the reason of a refusal.

use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};

use crate::tls::algorithms::{self, Checks, ServerKey};
use crate::tls::failure::TlsFailure;
use crate::tls::guard::{Guard, Now};

/// The verifier of all connections of a client, one at a time.
pub(super) struct Verifier {
    roots: &'static [&'static [u8]],
    handshake: Mutex<CriticalSectionRawMutex, RefCell<Handshake>>,
}

/// What is known in a handshake.
struct Handshake {
    now: Now,
    /// The key of the server's certificate once that was verified, and the checks that are left.
    server: Option<(ServerKey, Checks)>,
    failure: Option<TlsFailure>,
}

impl Verifier {
    pub(super) const fn new(roots: &'static [&'static [u8]]) -> Self {
        let handshake = Handshake { now: Now::Any, server: None, failure: None };
        Self { roots, handshake: Mutex::new(RefCell::new(handshake)) }
    }

    /// A handshake begins.
    pub(super) fn begin(&self, now: Now) {
        self.with(|handshake| *handshake = Handshake { now, server: None, failure: None });
    }

    /// Takes the reason why the server was refused, if it was.
    pub(super) fn take_failure(&self) -> Option<TlsFailure> {
        self.with(|handshake| handshake.failure.take())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Handshake) -> T) -> T {
        self.handshake.lock(|handshake| change(&mut handshake.borrow_mut()))
    }

    /// Keeps the reason, which rustls has no words for.
    fn refuse(&self, failure: TlsFailure) -> Error {
        self.with(|handshake| handshake.failure = Some(failure));
        CertificateError::ApplicationVerificationFailure.into()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = self.with(|handshake| handshake.now);
        let guard = Guard::new(self.roots, name, now);
        let chain = core::iter::once(server).chain(intermediates).map(AsRef::as_ref);
        let key = guard.authenticate(chain).map_err(|failure| self.refuse(failure))?;
        self.with(|handshake| handshake.server = Some((key, guard.into_checks())));
        Ok(ServerCertVerified::assertion())
    }

    /// Never called: there is no TLS 1.2.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _server: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        _server: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let server = self.with(|handshake| handshake.server.take());
        let (key, checks) = server.ok_or_else(|| self.refuse(TlsFailure::NoCertificate))?;
        key.prove(signed.scheme.into(), message, signed.signature(), &checks)
            .map_err(|failure| self.refuse(failure))?;
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms::SCHEMES.iter().map(|code| SignatureScheme::from(*code)).collect()
    }
}

/// The time at which the handshake began. It counts the age of tickets.
impl TimeProvider for Verifier {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = match self.with(|handshake| handshake.now) {
            Now::Known(seconds) => seconds,
            Now::Any => 0,
        };
        Some(UnixTime::since_unix_epoch(core::time::Duration::from_secs(seconds)))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}
