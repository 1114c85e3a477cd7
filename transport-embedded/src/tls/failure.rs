//! Why a TLS connection was refused or given up.

use core::fmt;

/// What is wrong with the TLS connection or the server behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TlsFailure {
    /// No path leads from the server's certificate to one of the trusted CA certificates.
    UnknownIssuer,
    /// The certificate is for another name or address.
    WrongName,
    /// The certificate, or one above it, has expired.
    Expired,
    /// The certificate, or one above it, is not valid yet.
    NotYetValid,
    /// The time is not known, and [`UnknownTime::Refuse`](crate::UnknownTime::Refuse) is chosen.
    TimeUnknown,
    /// The server finished the handshake without a certificate.
    NoCertificate,
    /// The server sent a certificate and no proof that it holds its key.
    NoSignature,
    /// The server's proof that it holds the certificate's key is wrong.
    BadSignature,
    /// A signature in the certificate chain is wrong.
    CertificateSignature,
    /// The certificate is no server's, or breaks a rule of its issuers.
    Certificate(CertificateFault),
    /// A key or signature of a kind that is not built in.
    UnsupportedAlgorithm(Algorithm),
    /// Something that TLS allows and embedded-tls or a buffer does not.
    Unsupported(Limit),
    /// The server ended the handshake with this alert (RFC 8446, section 6). 70: it has no TLS 1.3, and there is
    /// no way to reach it. 40: it has nothing in common with us. It may be too old for TLS 1.3; or its certificates
    /// are RSA ones (the feature `rsa`) or P-384 ones (`p384`); or it wants another group or cipher (`rustls`).
    /// 116: it wants a certificate of ours (`rustls`, and `ClientIdentity`).
    Alert(u8),
    /// The server ended the connection with an encrypted alert, whose code embedded-tls does not
    /// tell. A server with nothing but an RSA certificate may do so (the feature `rsa`), or one that wants ours
    /// (`rustls`, and `ClientIdentity`).
    Aborted,
    /// The server closed the connection during the handshake.
    Closed,
    /// The handshake went on beyond its bound.
    TooLong,
    /// A record could not be decrypted.
    BadRecord,
    /// The server's `Finished` is wrong: the handshake was modified on its way.
    BadFinished,
    /// The server broke the protocol.
    Malformed,
    /// The trusted CA certificate at this index cannot be read. The operator corrects it.
    Root(usize),
}

/// A certificate that must not be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CertificateFault {
    /// Not valid DER, or not X.509 version 3.
    Malformed,
    /// A CA's certificate as the server's own.
    CaAsServer,
    /// An ordinary certificate as the issuer of another one.
    ServerAsCa,
    /// Its extended key usage does not hold server authentication.
    Usage,
    /// A critical extension that is not known.
    CriticalExtension,
    /// A name outside what an issuer may certify.
    NameConstraint,
    /// More CAs below an issuer than it allows.
    PathLength,
    /// Too many certificates, or too many signatures to check before a path to a root is found.
    TooComplex,
}

/// Kinds of keys and signatures that may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Algorithm {
    /// RSA with PKCS#1 v1.5: the feature `rsa` adds it, with SHA-256, SHA-384 and SHA-512.
    Rsa,
    /// RSA-PSS: the same.
    RsaPss,
    /// ECDSA with SHA-384: the feature `p384` adds it.
    EcdsaSha384,
    /// ECDSA with SHA-512.
    EcdsaSha512,
    /// An ECDSA key on P-384: the feature `p384` adds it.
    EcdsaP384,
    /// An ECDSA key on P-521.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
    /// Ed448.
    Ed448,
    /// ML-DSA.
    MlDsa,
    /// Another one.
    Other,
}

/// Limits of embedded-tls 0.19 and of the lent buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Limit {
    /// The server asks for another key share; only P-256 is there.
    HelloRetryRequest,
    /// The server chose something other than TLS 1.3 with AES-128-GCM and P-256.
    Parameters,
    /// A record of this many bytes does not fit into the receive buffer.
    RecordTooLarge(u16),
    /// A handshake message goes on in the next record.
    SplitMessage,
    /// A handshake message in several records, a certificate chain for example, does not fit into the
    /// receive buffer.
    MessageTooLarge,
    /// The server changes keys or asks for something after the handshake.
    PostHandshake,
    /// More certificates or extensions than embedded-tls has room for.
    TooMany,
    /// The transmit buffer cannot hold a handshake message.
    SendBuffer,
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownIssuer => "no trusted CA has issued the server's certificate",
            Self::WrongName => "the server's certificate is for another name",
            Self::Expired => "the server's certificate has expired",
            Self::NotYetValid => "the server's certificate is not valid yet",
            Self::TimeUnknown => "the time is not known, so no certificate can be checked",
            Self::NoCertificate => "the server sent no certificate",
            Self::NoSignature => "the server did not prove that it holds its certificate's key",
            Self::BadSignature => "the server does not hold its certificate's key",
            Self::CertificateSignature => "a signature in the certificate chain is wrong",
            Self::Certificate(fault) => return fault.fmt(f),
            Self::UnsupportedAlgorithm(algorithm) => {
                return write!(f, "the certificate chain needs {algorithm}");
            }
            Self::Unsupported(limit) => return limit.fmt(f),
            Self::Alert(70) => "the server has no TLS 1.3 (alert 70)",
            Self::Alert(40) => {
                "the server finds nothing in common (alert 40): it has no TLS 1.3, or \
                 needs the feature rsa, p384 or rustls"
            }
            Self::Alert(116) => {
                "the server wants a certificate of ours (alert 116), which the feature rustls shows"
            }
            Self::Alert(code) => return write!(f, "the server sent alert {code}"),
            Self::Aborted => {
                "the server ended the connection; it may need the feature rsa or p384, or want a \
                 certificate of ours, which the feature rustls shows"
            }
            Self::Closed => "the server closed the connection during the handshake",
            Self::TooLong => "the handshake is too long",
            Self::BadRecord => "a record could not be decrypted",
            Self::BadFinished => "the handshake was changed on its way",
            Self::Malformed => "the server broke the TLS protocol",
            Self::Root(index) => return write!(f, "the trusted CA certificate {index} is invalid"),
        })
    }
}

impl core::error::Error for TlsFailure {}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a certificate is malformed",
            Self::CaAsServer => "the server's certificate is a CA's",
            Self::ServerAsCa => "a certificate was issued by one that is no CA's",
            Self::Usage => "the certificate is not for servers",
            Self::CriticalExtension => "a certificate has a critical extension that is not known",
            Self::NameConstraint => "the name is outside what the CA may certify",
            Self::PathLength => "the certificate chain is longer than the CA allows",
            Self::TooComplex => {
                "the certificate chain takes too many certificates or signature checks"
            }
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "RSA, which the feature rsa adds, with SHA-256 to SHA-512",
            Self::RsaPss => "RSA-PSS, which the feature rsa adds, with SHA-256 to SHA-512",
            Self::EcdsaSha384 => "ECDSA with SHA-384, which the feature p384 adds",
            Self::EcdsaSha512 => "ECDSA with SHA-512, which is not supported",
            Self::EcdsaP384 => "ECDSA on P-384, which the feature p384 adds",
            Self::EcdsaP521 => "ECDSA on P-521, which is not supported",
            Self::Ed25519 => "Ed25519, which is not supported",
            Self::Ed448 => "Ed448, which is not supported",
            Self::MlDsa => "ML-DSA, which is not supported",
            Self::Other => "an algorithm that is not supported",
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HelloRetryRequest => {
                "the server wants another key share than P-256, which the feature rustls adds"
            }
            Self::Parameters => "the server does not do TLS 1.3 with AES-128-GCM and P-256",
            Self::RecordTooLarge(length) => {
                return write!(f, "a record of {length} bytes exceeds the receive buffer");
            }
            Self::SplitMessage => {
                "a handshake message is split across records, which the feature rustls takes"
            }
            Self::PostHandshake => {
                "the server changes its keys after the handshake, which the feature rustls follows, \
                 or breaks the protocol"
            }
            Self::MessageTooLarge => "a handshake message exceeds the receive buffer",
            Self::TooMany => "the server sent too many certificates or extensions",
            Self::SendBuffer => "the transmit buffer is too small",
        })
    }
}

impl From<Limit> for TlsFailure {
    fn from(limit: Limit) -> Self {
        Self::Unsupported(limit)
    }
}
