//! The future to spawn.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::ready;

use embassy_net::Stack;
use embassy_time::{Duration, Timer};
#[cfg(feature = "tls")]
use embedded_tls::CryptoRngCore;
use pilot_webhook_core::Observer;

use super::error::RunError;
use super::memory::Memory;
use super::{Engine, WebhookNode};
use crate::link::Watch;
use crate::net::SocketNet;
#[cfg(feature = "tls")]
use crate::tls::{Tls, TlsBuffers};
use crate::transport::NodeTransport;

/// How often a stack without a configuration is looked at. Not waited for: a stack remembers one who
/// waits, and two would keep each other awake. Arbitrary: what an event may be late by.
const LOOK: Duration = Duration::from_millis(250);

impl<const QUEUE: usize, const URL: usize> Engine<QUEUE, URL> {
    /// Runs the worker while `stack` has a configuration: without one no attempt is made, and none is
    /// counted. What a clear or a close lets drain ends in its time all the same.
    async fn run_configured(
        &self,
        stack: Stack<'_>,
        mut worker: Pin<&mut impl Future<Output = ()>>,
    ) {
        let mut look = Timer::after(LOOK);
        poll_fn(|cx| {
            while !stack.is_config_up() && !self.is_draining() {
                ready!(pin!(&mut look).poll(cx));
                look = Timer::after(LOOK);
            }
            worker.as_mut().poll(cx)
        })
        .await;
    }

    fn is_draining(&self) -> bool {
        match self.dispatcher.refuse() {
            None => false,
            Some(Ok(_)) => {
                let stats = self.dispatcher.stats();
                stats.queued + stats.in_flight > 0
            }
            Some(Err(_)) => true,
        }
    }
}

impl<const QUEUE: usize, const EVENT: usize, const URL: usize, const IO: usize>
    WebhookNode<QUEUE, (), EVENT, URL, IO>
{
    /// Delivers over `stack` until the node is closed. While the stack has no configuration, events wait
    /// (DHCP takes seconds). `observer` is told of every attempt; `&mut ()`
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
        let Memory { body, socket: [rx, tx], http, .. } = &mut *memory;
        let net = SocketNet::new(stack, rx, tx);
        let watch = Watch::new();
        let mut transport = NodeTransport::over(&net, http, &watch, engine.policy);
        let clock = self.clock();
        let worker =
            pilot_webhook_core::run(&engine.dispatcher, &mut transport, &clock, observer, body);
        engine.run_configured(stack, pin!(worker)).await;
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
    /// Delivers over `stack` until the node is closed. While the stack has no configuration, events wait
    /// (DHCP takes seconds). `roots` are the trusted CA certificates in
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
        let Memory { body, socket: [rx, tx], http, tls } = &mut *memory;
        let net = SocketNet::new(stack, rx, tx);
        let tls = Tls::new(tls, roots, rng, &self.wall);
        let watch = Watch::new();
        let mut transport = NodeTransport::over(&net, http, &watch, engine.policy).with_tls(tls);
        let clock = self.clock();
        let worker =
            pilot_webhook_core::run(&engine.dispatcher, &mut transport, &clock, observer, body);
        engine.run_configured(stack, pin!(worker)).await;
        Ok(())
    }
}
