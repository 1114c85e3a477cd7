//! `https` by rustls without its standard library: its protocol, over cryptography of RustCrypto
//! (`provider`) and with certificates checked as for embedded-tls (`verifier`). `session` moves the
//! bytes. rustls allocates: `tests/rustls_heap.rs` says how much at most.

mod aead;
mod entropy;
mod exchange;
mod explain;
mod hash;
mod identity;
mod provider;
mod session;
mod tickets;
mod verifier;

use alloc::sync::Arc;
use core::fmt;

use embedded_io_async::{Read, Write};
use pilot_webhook_core::Host;
use rand_core::CryptoRngCore;
use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind};

use self::entropy::ENTROPY;
pub use self::identity::ClientIdentity;
pub(crate) use self::session::Session;
use self::tickets::Tickets;
use self::verifier::Verifier;
use super::failure::TlsFailure;
use super::guard::Now;
use super::{TlsBuffers, UnknownTime, now, server_name};
use crate::clock::WallClock;
use crate::wire::Wire;

/// What a [`NodeTransport`](crate::NodeTransport) needs for `https` by rustls, for parts with room: 150 KB
/// more flash than embedded-tls, and a global allocator with a heap of three times the receive buffer and 10 KiB.
/// In return it takes fragments and long chains, follows key updates, and resumes sessions.
pub struct Rustls<'b> {
    config: Arc<ClientConfig>,
    verifier: Arc<Verifier>,
    tickets: Arc<Tickets>,
    buffers: Option<(&'b mut [u8], &'b mut [u8])>,
    rng: &'b mut dyn CryptoRngCore,
    clock: &'b dyn WallClock,
    unknown_time: UnknownTime,
}

impl<'b> Rustls<'b> {
    /// `roots` are the trusted CA certificates in DER. `rng` must be cryptographically secure: each
    /// connection takes fresh keys from it. `clock` tells the time for the certificates' validity.
    ///
    /// Of the buffers, `RX` bounds the largest record and the largest handshake message, which may be in
    /// several records: the certificate chain. `TX` is 512 at least.
    pub fn new<const RX: usize, const TX: usize>(
        buffers: &'b mut TlsBuffers<RX, TX>,
        roots: &'static [&'static [u8]],
        rng: &'b mut dyn CryptoRngCore,
        clock: &'b dyn WallClock,
    ) -> Self {
        let (rx, tx) = buffers.split();
        Self::over(rx, tx, roots, rng, clock)
    }

    #[expect(clippy::expect_used, reason = "a suite of TLS 1.3 is built in")]
    pub(crate) fn over(
        rx: &'b mut [u8],
        tx: &'b mut [u8],
        roots: &'static [&'static [u8]],
        rng: &'b mut dyn CryptoRngCore,
        clock: &'b dyn WallClock,
    ) -> Self {
        let verifier = Arc::new(Verifier::new(roots));
        let tickets = Arc::new(Tickets::new());
        let provider = Arc::new(provider::provider());
        let mut config = ClientConfig::builder_with_details(provider, verifier.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a suite for TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_no_client_auth();
        config.resumption = Resumption::store(tickets.clone());
        let (config, unknown_time) = (Arc::new(config), UnknownTime::default());
        Self { config, verifier, tickets, buffers: Some((rx, tx)), rng, clock, unknown_time }
    }

    /// What happens while `clock` knows no time. Default: refuse.
    #[must_use]
    pub const fn when_time_unknown(mut self, unknown_time: UnknownTime) -> Self {
        self.unknown_time = unknown_time;
        self
    }

    /// Shows this certificate to servers that ask for one and are authentic. Their signatures are then checked
    /// within the handshake, in one go.
    #[must_use]
    pub fn with_identity(mut self, identity: ClientIdentity) -> Self {
        // Nothing else has the configuration before the first connection.
        if let Some(config) = Arc::get_mut(&mut self.config) {
            config.client_auth_cert_resolver = identity.into_resolver();
            self.verifier.be_strict();
        }
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
        if let Some((rx, tx)) = self.buffers.take() {
            session.set_buffers(rx, tx);
        }
        let name = server_name(host)?.to_owned();
        let now = now(self.clock, self.unknown_time)?;
        ENTROPY.stir(self.rng);
        self.verifier.begin(now);
        self.tickets.begin();
        let is_known = matches!(now, Now::Known(_));
        if !is_known {
            // A session that is resumed checks no certificate, not even later.
            self.tickets.forget();
        }
        let opened = session.open(wire, self.config.clone(), name, self.tickets.clone()).await;
        let opened = opened.map_err(|failure| self.verifier.take_failure().unwrap_or(failure))?;
        if opened != HandshakeKind::Resumed {
            self.verifier.verdict().await?;
        }
        if is_known {
            self.tickets.open();
        }
        Ok(())
    }
}

impl fmt::Debug for Rustls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rustls")
            .field("verifier", &self.verifier)
            .field("unknown_time", &self.unknown_time)
            .finish_non_exhaustive()
    }
}
