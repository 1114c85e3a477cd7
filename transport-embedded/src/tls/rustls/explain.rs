//! What rustls's errors mean.

use rustls::{Error, HandshakeType, PeerMisbehaved};

use crate::tls::failure::{Limit, TlsFailure};

/// The failure behind an error, but for a server that was not authenticated: the verifier has that.
pub(super) fn explain(error: &Error) -> TlsFailure {
    match error {
        Error::AlertReceived(alert) => TlsFailure::Alert((*alert).into()),
        Error::NoCertificatesPresented => TlsFailure::NoCertificate,
        Error::InappropriateHandshakeMessage {
            expect_types,
            got_type: HandshakeType::Finished | HandshakeType::CertificateVerify,
        } => missing(expect_types),
        Error::DecryptError => TlsFailure::BadRecord,
        Error::PeerIncompatible(_) => Limit::Parameters.into(),
        Error::PeerMisbehaved(what) => misbehaved(what),
        Error::PeerSentOversizedRecord => Limit::RecordTooLarge(u16::MAX).into(),
        Error::EncryptError | Error::FailedToGetRandomBytes => TlsFailure::Aborted,
        _ => TlsFailure::Malformed,
    }
}

/// What a server has left out that ends its flight without it.
fn missing(expected: &[HandshakeType]) -> TlsFailure {
    if expected.contains(&HandshakeType::CertificateVerify) {
        TlsFailure::NoSignature
    } else if expected.contains(&HandshakeType::Certificate) {
        TlsFailure::NoCertificate
    } else {
        TlsFailure::Malformed
    }
}

fn misbehaved(what: &PeerMisbehaved) -> TlsFailure {
    match what {
        PeerMisbehaved::InvalidKeyShare
        | PeerMisbehaved::MissingKeyShare
        | PeerMisbehaved::WrongGroupForKeyShare
        | PeerMisbehaved::SelectedUnofferedCipherSuite
        | PeerMisbehaved::SelectedUnofferedKxGroup => Limit::Parameters.into(),
        _ => TlsFailure::Malformed,
    }
}
