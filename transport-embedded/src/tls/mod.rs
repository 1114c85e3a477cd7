//! TLS 1.3: embedded-tls for the protocol, rustls-webpki for the certificates, and three filters of
//! our own between them and the server, each for something that was measured to get past embedded-tls
//! or to make it panic.
//!
//! What the server sends passes in one direction: `wire` counts it, `scan` (in `fence`) checks records by
//! their plain parts and the `hello` as a whole, `suite` decrypts them for embedded-tls, checks their content and
//! hides some of it, which `transcript` hashes as it was, and `guard` checks the certificates and lists the
//! signatures, which `checks` checks at the end. `session` holds the outcome.

mod algorithms;
mod checks;
mod der;
mod failure;
mod fence;
mod fragment;
mod guard;
mod hello;
#[cfg(feature = "rsa")]
mod rsa;
mod scan;
mod session;
mod suite;
mod transcript;

use core::fmt;
use core::net::IpAddr;

use embedded_io_async::{Read, Write};
use embedded_tls::{CryptoProvider, CryptoRngCore, TlsConfig, TlsContext, TlsError, TlsVerifier};
use pilot_webhook_core::Host;
use pki_types::{DnsName, ServerName};

pub use failure::{Algorithm, CertificateFault, Limit, TlsFailure};
pub(crate) use fence::Findings;
use guard::{Guard, Now};
pub(crate) use session::{Records, Session};
use suite::Suite;

use crate::clock::WallClock;
use crate::wire::Wire;

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
/// beside its content: with 4,352, 2,304, 1,280 and 768 the server is asked for records of 4,096, 2,048, 1,024 and
/// 512 at most (`max_fragment_length`, which OpenSSL, nginx, Go and Node heed, and rustls does not). `TX` holds a handshake message or a piece of a
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

/// What a [`NodeTransport`](crate::NodeTransport) needs for `https`.
pub struct Tls<'b> {
    records: Option<Records<'b>>,
    roots: &'b [&'b [u8]],
    rng: &'b mut dyn CryptoRngCore,
    clock: &'b dyn WallClock,
    unknown_time: UnknownTime,
}

impl<'b> Tls<'b> {
    /// `roots` are the trusted CA certificates in DER. `rng` must be cryptographically secure: each
    /// connection takes fresh keys from it. `clock` tells the time for the certificates' validity.
    pub fn new<const RX: usize, const TX: usize>(
        buffers: &'b mut TlsBuffers<RX, TX>,
        roots: &'b [&'b [u8]],
        rng: &'b mut dyn CryptoRngCore,
        clock: &'b dyn WallClock,
    ) -> Self {
        let (rx, tx) = buffers.split();
        Self::over(Records::new(rx, tx), roots, rng, clock)
    }

    pub(crate) fn over(
        records: Records<'b>,
        roots: &'b [&'b [u8]],
        rng: &'b mut dyn CryptoRngCore,
        clock: &'b dyn WallClock,
    ) -> Self {
        let unknown_time = UnknownTime::default();
        Self { records: Some(records), roots, rng, clock, unknown_time }
    }

    /// What happens while `clock` knows no time. Default: refuse.
    #[must_use]
    pub const fn when_time_unknown(mut self, unknown_time: UnknownTime) -> Self {
        self.unknown_time = unknown_time;
        self
    }

    pub(crate) const fn take_records(&mut self) -> Option<Records<'b>> {
        self.records.take()
    }

    /// Does the handshake over `wire`, and leaves the connection in `session`, which must be closed
    /// unless this succeeds: only then the server is `host`.
    pub(crate) async fn open<S: Read + Write>(
        &mut self,
        session: &mut Session<'b, S>,
        wire: Wire<'b, S>,
        host: Host<'_>,
    ) -> Result<(), TlsFailure> {
        let mut config = TlsConfig::new();
        if let Some(length) = session.record_room().and_then(fragment::length_for) {
            config = config.with_max_fragment_length(length);
        }
        if cfg!(feature = "rsa") {
            config = config.enable_rsa_signatures();
        }
        let name = match host {
            Host::Name(name) => {
                // The dot of a fully qualified name is in no certificate (RFC 6066, section 3).
                let name = name.strip_suffix('.').unwrap_or(name);
                config = config.with_server_name(name);
                ServerName::from(DnsName::try_from(name).map_err(|_| TlsFailure::WrongName)?)
            }
            Host::Address(IpAddr::V4(address)) => {
                ServerName::IpAddress(pki_types::IpAddr::V4(address.octets().into()))
            }
            Host::Address(IpAddr::V6(address)) => {
                ServerName::IpAddress(pki_types::IpAddr::V6(address.segments().into()))
            }
        };
        let now = match (self.clock.unix_seconds(), self.unknown_time) {
            (Some(seconds), _) => Now::Known(seconds),
            (None, UnknownTime::SkipValidity) => Now::Any,
            (None, UnknownTime::Refuse) => return Err(TlsFailure::TimeUnknown),
        };
        let mut provider = Provider { rng: self.rng, guard: Guard::new(self.roots, name, now) };
        let opened = session.open(wire, TlsContext::new(&config, &mut provider)).await;
        if let Some(failure) = provider.guard.failure() {
            return Err(failure);
        }
        opened?;
        // The handshake went well; that alone says nothing about who the server is.
        provider.guard.verdict().await
    }
}

impl fmt::Debug for Tls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("roots", &self.roots.len())
            .field("unknown_time", &self.unknown_time)
            .finish_non_exhaustive()
    }
}

/// Entropy and verification for one handshake.
struct Provider<'p> {
    rng: &'p mut dyn CryptoRngCore,
    guard: Guard<'p>,
}

impl CryptoProvider for Provider<'_> {
    type CipherSuite = Suite;
    /// For client certificates, of which there are none.
    type Signature = [u8; 0];

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut *self.rng
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Suite>, TlsError> {
        Ok(&mut self.guard)
    }
}
