//! The future to spawn.

use embassy_net::Stack;
#[cfg(feature = "tls")]
use embedded_tls::CryptoRngCore;
use pilot_webhook_core::{Encoding, Observer};

use super::WebhookNode;
use super::error::RunError;
use super::memory::Memory;
use crate::link::Watch;
use crate::net::SocketNet;
#[cfg(feature = "tls")]
use crate::tls::{Tls, TlsBuffers};
use crate::transport::NodeTransport;

impl<const QUEUE: usize, const EVENT: usize, const URL: usize, const IO: usize>
    WebhookNode<QUEUE, (), EVENT, URL, IO>
{
    /// Delivers over `stack` until the node is closed. `observer` is told of every attempt; `&mut ()`
    /// does not listen. Dropping the future loses nothing; it may be run again.
    ///
    /// # Errors
    /// At once, when the node was not started or runs already.
    pub async fn run<O: Observer>(
        &'static self,
        stack: Stack<'static>,
        observer: &mut O,
    ) -> Result<(), RunError> {
        let engine = self.engine.try_get().ok_or(RunError::NotStarted)?;
        let mut memory = self.memory.try_lock().map_err(|_| RunError::Running)?;
        let Memory { event, socket: [rx, tx], http, .. } = &mut *memory;
        let net = SocketNet::new(stack, rx, tx);
        let watch = Watch::new();
        let mut transport = NodeTransport::over(&net, http, &watch, engine.policy);
        let clock = self.clock();
        let encoding = Encoding { signer: &self.secret, ..Encoding::PILOT };
        let buffer = event.as_flattened_mut();
        pilot_webhook_core::run(
            &engine.dispatcher,
            &mut transport,
            &clock,
            observer,
            encoding,
            buffer,
        )
        .await;
        Ok(())
    }
}

#[cfg(feature = "tls")]
impl<
    const QUEUE: usize,
    const RX: usize,
    const TX: usize,
    const EVENT: usize,
    const URL: usize,
    const IO: usize,
> WebhookNode<QUEUE, TlsBuffers<RX, TX>, EVENT, URL, IO>
{
    /// Delivers over `stack` until the node is closed. `roots` are the trusted CA certificates in
    /// DER, `rng` gives each connection its keys; until the [`wall`](Self::wall) time is known,
    /// `https` is refused. `observer` is told of every attempt; `&mut ()` does not listen. Dropping
    /// the future loses nothing; it may be run again.
    ///
    /// # Errors
    /// At once, when the node was not started or runs already.
    pub async fn run<O: Observer>(
        &'static self,
        stack: Stack<'static>,
        roots: &[&[u8]],
        rng: &mut dyn CryptoRngCore,
        observer: &mut O,
    ) -> Result<(), RunError> {
        let engine = self.engine.try_get().ok_or(RunError::NotStarted)?;
        let mut memory = self.memory.try_lock().map_err(|_| RunError::Running)?;
        let Memory { event, socket: [rx, tx], http, tls } = &mut *memory;
        let net = SocketNet::new(stack, rx, tx);
        let tls = Tls::new(tls, roots, rng, &self.wall);
        let watch = Watch::new();
        let mut transport = NodeTransport::over(&net, http, &watch, engine.policy).with_tls(tls);
        let clock = self.clock();
        let encoding = Encoding { signer: &self.secret, ..Encoding::PILOT };
        let buffer = event.as_flattened_mut();
        pilot_webhook_core::run(
            &engine.dispatcher,
            &mut transport,
            &clock,
            observer,
            encoding,
            buffer,
        )
        .await;
        Ok(())
    }
}
