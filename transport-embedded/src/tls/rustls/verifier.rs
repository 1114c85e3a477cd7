//! Verifies servers for rustls as [`Guard`] does it, and keeps the reason of a refusal.
//!
//! In the handshake signatures are listed, and rustls is told that they are right. [`Verifier::verdict`] checks
//! them, before anything is written and before a ticket is kept.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};
use core::{fmt, mem};

use embassy_futures::block_on;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};

use crate::tls::algorithms::{SCHEMES, Scheme, ServerKey};
use crate::tls::checks::Checks;
use crate::tls::failure::TlsFailure;
use crate::tls::guard::{Guard, Now};

/// The verifier of all connections of a client, one at a time.
pub(super) struct Verifier {
    roots: &'static [&'static [u8]],
    /// Whether all is checked in the handshake: before the node shows a certificate of its own.
    is_strict: AtomicBool,
    handshake: Mutex<CriticalSectionRawMutex, RefCell<Handshake>>,
}

/// What is known in a handshake.
struct Handshake {
    now: Now,
    progress: Progress,
    failure: Option<TlsFailure>,
}

/// How far the server has come.
enum Progress {
    Nothing,
    /// Its certificate is right if the signatures on the list are. This is its key.
    Certificate(Box<ServerKey>, Box<Checks>),
    /// Its proof that it holds the key is on the list by this number.
    Proof(u8, Box<Checks>),
    Authentic,
}

impl Verifier {
    pub(super) const fn new(roots: &'static [&'static [u8]]) -> Self {
        let handshake = Handshake { now: Now::Any, progress: Progress::Nothing, failure: None };
        let is_strict = AtomicBool::new(false);
        Self { roots, is_strict, handshake: Mutex::new(RefCell::new(handshake)) }
    }

    /// From now on everything is checked in the handshake, without time for other tasks.
    pub(super) fn be_strict(&self) {
        self.is_strict.store(true, Ordering::Relaxed);
    }

    /// A handshake begins.
    pub(super) fn begin(&self, now: Now) {
        let progress = Progress::Nothing;
        let next = Handshake { now, progress, failure: None };
        drop(self.with(|handshake| mem::replace(handshake, next)));
    }

    /// Whether the server is authentic. Asked when the handshake is over; not if a session was resumed, whose
    /// server was authentic and has shown that it still is the same.
    pub(super) async fn verdict(&self) -> Result<(), TlsFailure> {
        match self.take_progress() {
            Progress::Authentic => Ok(()),
            Progress::Proof(number, mut checks) => Ok(checks.verify(number).await?),
            Progress::Nothing => Err(TlsFailure::NoCertificate),
            Progress::Certificate(..) => Err(TlsFailure::NoSignature),
        }
    }

    fn take_progress(&self) -> Progress {
        self.with(|handshake| mem::replace(&mut handshake.progress, Progress::Nothing))
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
        let checks = Box::new(Checks::new());
        let guard = Guard::new(self.roots, name, now, &checks);
        let chain = core::iter::once(server).chain(intermediates).map(AsRef::as_ref);
        let key = guard.authenticate(chain).map_err(|failure| self.refuse(failure))?;
        self.with(|handshake| handshake.progress = Progress::Certificate(Box::new(key), checks));
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
        let Progress::Certificate(key, checks) = self.take_progress() else {
            return Err(self.refuse(TlsFailure::NoCertificate));
        };
        let proof = checks.list_proof(&key, signed.scheme.into(), message, signed.signature());
        let proof = proof.map_err(|failure| self.refuse(failure))?;
        self.with(|handshake| handshake.progress = Progress::Proof(proof, checks));
        if self.is_strict.load(Ordering::Relaxed) {
            block_on(self.verdict()).map_err(|failure| self.refuse(failure))?;
            self.with(|handshake| handshake.progress = Progress::Authentic);
        }
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let codes = SCHEMES.iter().filter_map(Scheme::in_hello);
        codes.map(SignatureScheme::from).collect()
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
