//! Records whether a server was really authenticated.
//!
//! embedded-tls calls the verifier for each message that comes, and is content when none comes: a
//! server that sends neither `Certificate` nor `CertificateVerify` passes. So the witness keeps count,
//! and [`verdict`](Witness::verdict) is asked after the handshake, before anything is written.

use embedded_tls::{
    CertificateEntryRef, CertificateRef, CertificateVerifyRef, TlsError, TlsVerifier,
};
use pki_types::ServerName;
use sha2::Digest as _;

use super::algorithms::ServerKey;
use super::checks::Checks;
use super::failure::TlsFailure;
use super::guard::{Guard, Now};
use super::suite::Suite;
use super::transcript::Transcript;

/// How far the server has come. Each step happens at most once, and in this order.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one, and no heap")]
enum Progress {
    Nothing,
    /// The certificate is good; this is its key, and the hash over the handshake up to it.
    Certificate(ServerKey, [u8; 32]),
    /// The server's proof that it holds the key is listed by this number.
    Proof(u8),
    Failed(TlsFailure),
}

/// The verifier of one handshake.
#[derive(Debug)]
pub(super) struct Witness<'g> {
    roots: &'g [&'g [u8]],
    name: &'g ServerName<'g>,
    now: Now,
    checks: &'g mut Checks,
    progress: Progress,
}

impl<'g> Witness<'g> {
    pub(super) const fn new(
        roots: &'g [&'g [u8]],
        name: &'g ServerName<'g>,
        now: Now,
        checks: &'g mut Checks,
    ) -> Self {
        Self { roots, name, now, checks, progress: Progress::Nothing }
    }

    /// Whether the server is authentic. Asked when the handshake is over.
    pub(super) async fn verdict(&mut self) -> Result<(), TlsFailure> {
        match self.progress {
            Progress::Proof(number) => self.checks.verify(number).await.map_err(TlsFailure::from),
            Progress::Nothing => Err(TlsFailure::NoCertificate),
            Progress::Certificate(..) => Err(TlsFailure::NoSignature),
            Progress::Failed(failure) => Err(failure),
        }
    }

    /// Why the server was refused, if it was.
    pub(super) const fn failure(&self) -> Option<TlsFailure> {
        match self.progress {
            Progress::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// Records the result of one handshake message.
    fn step(&mut self, result: Result<Progress, TlsFailure>) -> Result<(), TlsError> {
        self.progress = result.unwrap_or_else(Progress::Failed);
        self.failure().map_or(Ok(()), |_| Err(TlsError::InvalidCertificate))
    }

    fn certificate(
        &self,
        transcript: &Transcript,
        message: &CertificateRef<'_>,
    ) -> Result<Progress, TlsFailure> {
        if !matches!(self.progress, Progress::Nothing) {
            return Err(TlsFailure::Malformed);
        }
        let chain = message.entries.iter().map(|entry| match entry {
            CertificateEntryRef::X509(der) => *der,
            // Something else, which no certificate can be read from.
            CertificateEntryRef::RawPublicKey(_) => &[],
        });
        let guard = Guard::new(self.roots, self.name, self.now, self.checks);
        let key = guard.authenticate(chain)?;
        Ok(Progress::Certificate(key, transcript.clone().finalize().into()))
    }

    fn signature(&self, message: &CertificateVerifyRef<'_>) -> Result<Progress, TlsFailure> {
        let (key, transcript) = match &self.progress {
            Progress::Certificate(key, transcript) => (key, transcript),
            Progress::Nothing => return Err(TlsFailure::NoCertificate),
            Progress::Proof(_) => return Err(TlsFailure::Malformed),
            Progress::Failed(failure) => return Err(*failure),
        };
        // RFC 8446, section 4.4.3.
        const CONTEXT: &[u8; 34] = b"TLS 1.3, server CertificateVerify\0";
        let mut signed = [b' '; 64 + CONTEXT.len() + 32];
        signed[64..64 + CONTEXT.len()].copy_from_slice(CONTEXT);
        signed[64 + CONTEXT.len()..].copy_from_slice(transcript);
        let scheme = message.signature_scheme.as_u16();
        self.checks.list_proof(key, scheme, &signed, message.signature).map(Progress::Proof)
    }
}

impl TlsVerifier<Suite> for Witness<'_> {
    /// The guard was made with the name: embedded-tls has none when the host is an address.
    fn set_hostname_verification(&mut self, _name: &str) -> Result<(), TlsError> {
        Ok(())
    }

    fn verify_certificate(
        &mut self,
        transcript: &Transcript,
        certificate: CertificateRef<'_>,
    ) -> Result<(), TlsError> {
        let result = self.certificate(transcript, &certificate);
        self.step(result)
    }

    fn verify_signature(&mut self, signature: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        let result = self.signature(&signature);
        self.step(result)
    }
}
