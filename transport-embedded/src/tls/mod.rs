//! TLS 1.3 by one of two clients, and what they have in common: who a server must be.
//!
//! `guard` decides that about its certificates, with `algorithms` and `der`, and lists the signatures, which
//! `checks` checks at the end. `rustls` is the one client. The other, `embedded`, is embedded-tls and filters
//! of our own around it, each for something that was measured to get past embedded-tls or to make it panic.
//! What the server sends passes them in one direction: `wire` counts it, `scan` (in `fence`) checks records
//! by their plain parts and the `hello` as a whole, `suite` decrypts them for embedded-tls, checks their content
//! and hides some of it, which `transcript` hashes as it was, and `witness` shows the certificates to the guard.
//! `session` holds the outcome.

mod algorithms;
mod checks;
mod der;
#[cfg(feature = "tls")]
mod embedded;
mod failure;
#[cfg(feature = "tls")]
mod fence;
#[cfg(feature = "tls")]
mod fragment;
mod guard;
#[cfg(feature = "tls")]
mod hello;
#[cfg(feature = "p384")]
mod p384;
#[cfg(feature = "rsa")]
mod rsa;
#[cfg(feature = "rustls")]
mod rustls;
#[cfg(feature = "tls")]
mod scan;
#[cfg(feature = "tls")]
mod session;
#[cfg(feature = "tls")]
mod suite;
#[cfg(feature = "tls")]
mod transcript;
#[cfg(feature = "tls")]
mod witness;

use core::net::IpAddr;

use pilot_webhook_core::Host;
use pki_types::{DnsName, ServerName};

#[cfg(feature = "rustls")]
pub(crate) use self::rustls::Session as RustlsSession;
#[cfg(feature = "rustls")]
pub use self::rustls::{ClientIdentity, Rustls};
#[cfg(feature = "tls")]
pub use embedded::Tls;
pub use failure::{Algorithm, CertificateFault, Limit, TlsFailure};
#[cfg(feature = "tls")]
pub(crate) use fence::Findings;
use guard::Now;
#[cfg(all(feature = "embassy-net", feature = "tls"))]
pub(crate) use session::Records;
#[cfg(feature = "tls")]
pub(crate) use session::Session;

use crate::clock::WallClock;

/// What to do with `https` while the wall-clock time is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UnknownTime {
    /// Refuse every server ([`TlsFailure::TimeUnknown`]). Events wait or fail until the time is set.
    #[default]
    Refuse,
    /// Check everything but the time: a server with an expired certificate is then accepted, for as
    /// long as the time is not known. The certificates of a chain must still have been valid at one
    /// common time.
    SkipValidity,
}

/// The record buffers of a TLS connection, owned by the caller, all zeros until used.
///
/// `RX` bounds the largest record that can be received: 16,640 holds every record, and less works
/// with servers that send less. The whole certificate chain comes in one record, so it is the chain
/// that decides: 1,280 for a short one of our own, 4,352 for most public ones. A record that does
/// not fit ends with [`Limit::RecordTooLarge`]. The sizes are a power of two and 256 for what a record takes
/// beside its content: with 4,352, 2,304, 1,280 and 768 embedded-tls asks the server for records of 4,096, 2,048,
/// 1,024 and 512 at most (`max_fragment_length`, which OpenSSL, nginx, HAProxy and Node heed, and rustls does not);
/// rustls as a client does not ask. `TX` holds a handshake message or a piece of a
/// request: 512 at least.
#[derive(Debug)]
pub struct TlsBuffers<const RX: usize, const TX: usize> {
    rx: [u8; RX],
    tx: [u8; TX],
}

impl<const RX: usize, const TX: usize> TlsBuffers<RX, TX> {
    /// Memory, not used yet.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(RX >= 512, "a ServerHello and the smallest certificates must fit") };
        const { assert!(TX >= 512, "a ClientHello with the longest host name must fit") };
        Self { rx: [0; RX], tx: [0; TX] }
    }

    pub(crate) const fn split(&mut self) -> (&mut [u8], &mut [u8]) {
        (&mut self.rx, &mut self.tx)
    }
}

impl<const RX: usize, const TX: usize> Default for TlsBuffers<RX, TX> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a [`NodeTransport`](crate::NodeTransport) opens TLS connections with.
#[derive(Debug)]
pub enum TlsClient<'b> {
    /// embedded-tls: small, and without an allocator.
    #[cfg(feature = "tls")]
    Embedded(Tls<'b>),
    /// rustls: for every server that does TLS 1.3.
    #[cfg(feature = "rustls")]
    Rustls(Rustls<'b>),
}

#[cfg(feature = "tls")]
impl<'b> From<Tls<'b>> for TlsClient<'b> {
    fn from(tls: Tls<'b>) -> Self {
        Self::Embedded(tls)
    }
}

#[cfg(feature = "rustls")]
impl<'b> From<Rustls<'b>> for TlsClient<'b> {
    fn from(tls: Rustls<'b>) -> Self {
        Self::Rustls(tls)
    }
}

/// The name that the server's certificate must have.
fn server_name(host: Host<'_>) -> Result<ServerName<'_>, TlsFailure> {
    Ok(match host {
        Host::Name(name) => {
            // The dot of a fully qualified name is in no certificate (RFC 6066, section 3).
            let name = name.strip_suffix('.').unwrap_or(name);
            ServerName::from(DnsName::try_from(name).map_err(|_| TlsFailure::WrongName)?)
        }
        Host::Address(IpAddr::V4(address)) => {
            ServerName::IpAddress(pki_types::IpAddr::V4(address.octets().into()))
        }
        Host::Address(IpAddr::V6(address)) => {
            ServerName::IpAddress(pki_types::IpAddr::V6(address.segments().into()))
        }
    })
}

/// The time for a handshake, if it may begin.
fn now(clock: &dyn WallClock, unknown_time: UnknownTime) -> Result<Now, TlsFailure> {
    match (clock.unix_seconds(), unknown_time) {
        (Some(seconds), _) => Ok(Now::Known(seconds)),
        (None, UnknownTime::SkipValidity) => Ok(Now::Any),
        (None, UnknownTime::Refuse) => Err(TlsFailure::TimeUnknown),
    }
}
