//! Records whether a server was really authenticated.
//!
//! embedded-tls calls the verifier for each message that comes, and is content when none comes: a
//! server that sends neither `Certificate` nor `CertificateVerify` passes. So the witness keeps count,
//! and [`verdict`](Witness::verdict) is asked after the handshake, before anything is written.

use embedded_tls::{
    CertificateEntryRef, CertificateRef, CertificateVerifyRef, Sha256, TlsError, TlsVerifier,
};
use sha2::Digest as _;

use super::algorithms::{Checks, ServerKey};
use super::failure::TlsFailure;
use super::guard::Guard;
use super::suite::Suite;

/// How far the server has come. Each step happens at most once, and in this order.
#[derive(Debug)]
enum Progress<'g> {
    Nothing(Guard<'g>),
    /// The certificate is good; this is its key, the checks that are left, and the hash over the handshake
    /// up to it.
    Certificate(ServerKey, Checks, [u8; 32]),
    /// The server holds the key.
    Authenticated,
    Failed(TlsFailure),
}

/// The verifier of one handshake.
#[derive(Debug)]
pub(super) struct Witness<'g>(Progress<'g>);

impl<'g> Witness<'g> {
    pub(super) const fn new(guard: Guard<'g>) -> Self {
        Self(Progress::Nothing(guard))
    }

    /// Whether the server was authenticated. Asked when the handshake is over.
    pub(super) const fn verdict(&self) -> Result<(), TlsFailure> {
        match self.0 {
            Progress::Authenticated => Ok(()),
            Progress::Nothing(_) => Err(TlsFailure::NoCertificate),
            Progress::Certificate(..) => Err(TlsFailure::NoSignature),
            Progress::Failed(failure) => Err(failure),
        }
    }

    /// Why the server was refused, if it was.
    pub(super) const fn failure(&self) -> Option<TlsFailure> {
        match self.0 {
            Progress::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// Takes the step that one handshake message is.
    fn step(
        &mut self,
        next: impl FnOnce(Progress<'g>) -> Result<Progress<'g>, TlsFailure>,
    ) -> Result<(), TlsError> {
        let progress = core::mem::replace(&mut self.0, Progress::Failed(TlsFailure::Malformed));
        self.0 = next(progress).unwrap_or_else(Progress::Failed);
        self.failure().map_or(Ok(()), |_| Err(TlsError::InvalidCertificate))
    }
}

fn certificate<'g>(
    progress: Progress<'g>,
    transcript: &Sha256,
    message: &CertificateRef<'_>,
) -> Result<Progress<'g>, TlsFailure> {
    let Progress::Nothing(guard) = progress else { return Err(TlsFailure::Malformed) };
    let chain = message.entries.iter().map(|entry| match entry {
        CertificateEntryRef::X509(der) => *der,
        // Something else, which no certificate can be read from.
        CertificateEntryRef::RawPublicKey(_) => &[],
    });
    let key = guard.authenticate(chain)?;
    let transcript = transcript.clone().finalize().into();
    Ok(Progress::Certificate(key, guard.into_checks(), transcript))
}

fn signature<'g>(
    progress: Progress<'g>,
    message: &CertificateVerifyRef<'_>,
) -> Result<Progress<'g>, TlsFailure> {
    let (key, checks, transcript) = match progress {
        Progress::Certificate(key, checks, transcript) => (key, checks, transcript),
        Progress::Nothing(_) => return Err(TlsFailure::NoCertificate),
        Progress::Authenticated => return Err(TlsFailure::Malformed),
        Progress::Failed(failure) => return Err(failure),
    };
    // RFC 8446, section 4.4.3.
    const CONTEXT: &[u8; 34] = b"TLS 1.3, server CertificateVerify\0";
    let mut signed = [b' '; 64 + CONTEXT.len() + 32];
    signed[64..64 + CONTEXT.len()].copy_from_slice(CONTEXT);
    signed[64 + CONTEXT.len()..].copy_from_slice(&transcript);
    key.prove(message.signature_scheme.as_u16(), &signed, message.signature, &checks)?;
    Ok(Progress::Authenticated)
}

impl TlsVerifier<Suite> for Witness<'_> {
    /// The guard was made with the name: embedded-tls has none when the host is an address.
    fn set_hostname_verification(&mut self, _name: &str) -> Result<(), TlsError> {
        Ok(())
    }

    fn verify_certificate(
        &mut self,
        transcript: &Sha256,
        message: CertificateRef<'_>,
    ) -> Result<(), TlsError> {
        self.step(|progress| certificate(progress, transcript, &message))
    }

    fn verify_signature(&mut self, message: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        self.step(|progress| signature(progress, &message))
    }
}
