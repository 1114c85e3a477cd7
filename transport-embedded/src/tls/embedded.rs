//! `https` by embedded-tls, without an allocator.

use core::fmt;

use embedded_io_async::{Read, Write};
use embedded_tls::{CryptoProvider, TlsConfig, TlsContext, TlsError, TlsVerifier};
use pilot_webhook_core::Host;
use rand_core::CryptoRngCore;

use super::checks::Checks;
use super::failure::TlsFailure;
use super::session::{Records, Session};
use super::suite::Suite;
use super::witness::Witness;
use super::{TlsBuffers, UnknownTime, fragment, now, server_name};
use crate::clock::WallClock;
use crate::wire::Wire;

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

    /// Does the handshake over `wire`, and leaves the connection in `session`, which must be closed
    /// unless this succeeds: only then the server is `host`.
    pub(crate) async fn open<S: Read + Write>(
        &mut self,
        session: &mut Session<'b, S>,
        wire: Wire<'b, S>,
        host: Host<'_>,
    ) -> Result<(), TlsFailure> {
        if let Some(records) = self.records.take() {
            session.set_records(records);
        }
        let name = server_name(host)?;
        let mut config = TlsConfig::new();
        if let Some(length) = session.record_room().and_then(fragment::length_for) {
            config = config.with_max_fragment_length(length);
        }
        if cfg!(feature = "rsa") {
            config = config.enable_rsa_signatures();
        }
        if let pki_types::ServerName::DnsName(name) = &name {
            config = config.with_server_name(name.as_ref());
        }
        let now = now(self.clock, self.unknown_time)?;
        let mut checks = Checks::new();
        let witness = Witness::new(self.roots, &name, now, &mut checks);
        let mut provider = Provider { rng: self.rng, witness };
        let opened = session.open(wire, TlsContext::new(&config, &mut provider)).await;
        if let Some(failure) = provider.witness.failure() {
            return Err(failure);
        }
        opened?;
        // The handshake went well; that alone says nothing about who the server is.
        provider.witness.verdict().await
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
    witness: Witness<'p>,
}

impl CryptoProvider for Provider<'_> {
    type CipherSuite = Suite;
    /// For client certificates, of which there are none.
    type Signature = [u8; 0];

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut *self.rng
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Suite>, TlsError> {
        Ok(&mut self.witness)
    }
}
