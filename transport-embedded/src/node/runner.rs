//! The task that delivers.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::ready;

use embassy_futures::select::select;
use embassy_net::Stack;
use embassy_time::{Duration, Timer};
#[cfg(feature = "nats")]
use pilot_webhook_core::nats::Login;
use pilot_webhook_core::{Encoding, Transport, run};
#[cfg(feature = "_https")]
use rand_core::CryptoRngCore;

#[cfg(feature = "_https")]
use super::resources::TlsMemory;
use super::resources::{NodeBuffers, Parts};
use super::{Shared, Target, Webhook};
use crate::line::Line;
use crate::link::Watch;
use crate::look_up::LookUps;
#[cfg(feature = "nats")]
use crate::nats::NatsTransport;
use crate::net::SocketNet;
#[cfg(feature = "rustls")]
use crate::tls::{ClientIdentity, Rustls};
#[cfg(feature = "tls")]
use crate::tls::{Records, Tls};
use crate::transport::NodeTransport;

/// Delivers a webhook's events. `T` is `()` or, for `https`, [`TlsMemory`].
///
/// It is a reference, so that a task that takes it needs no more stack to be spawned.
#[must_use = "`run` delivers the events"]
pub struct Runner<T: 'static = ()>(pub(super) &'static mut Parts<T>);

/// A runner for `https` and `http`.
#[cfg(feature = "_https")]
pub type TlsRunner = Runner<TlsMemory>;

impl<T> Runner<T> {
    /// Completes when the wall time is known, or the webhook is cleared or closed. Signatures of Standard Webhooks have the time
    /// in them, and receivers refuse one that is minutes off: a node that sends them awaits this before it runs.
    /// Events wait meanwhile.
    pub async fn time_known(&self) {
        let Webhook(Shared { dispatcher, wall, .. }) = self.0.webhook;
        while wall.get().is_none() && !dispatcher.is_draining() && !dispatcher.is_closed() {
            Timer::after(LOOK).await;
        }
    }

    /// Delivers over a transport of one's own, such as a modem that speaks HTTP itself, until the webhook is
    /// closed. Dropping the future loses nothing; it may be run again.
    pub async fn run_over(&mut self, transport: &mut impl Transport<Target>) {
        let Parts { webhook, buffers, .. } = &mut *self.0;
        work(*webhook, transport, buffers.event).await;
    }
}

/// Delivers over the transport that is made of a line over the stack. A macro, as the line borrows what it is made of.
macro_rules! deliver {
    ($runner:ident, $stack:ident, |$webhook:ident, $tls:ident, $line:ident, $buf:ident| $transport:expr) => {{
        let Parts { webhook: $webhook, buffers, tls: $tls } = &mut *$runner.0;
        let NodeBuffers { event, rx, tx, http: $buf } = buffers;
        let net = SocketNet::new($stack, rx, tx);
        let net = LookUps::over(&net);
        let watch = Watch::new();
        #[allow(unused_mut, reason = "without TLS nothing is set")]
        let mut $line = Line::new(&net, &watch, $webhook.policy());
        let mut transport = $transport;
        deliver($stack, *$webhook, &net, &mut transport, event).await;
    }};
}

impl Runner {
    /// Delivers over `stack` until the webhook is closed. While the stack has no configuration (DHCP takes
    /// seconds), events wait. Dropping the future loses nothing; it may be
    /// run again.
    pub async fn run(&mut self, stack: Stack<'static>) {
        deliver!(self, stack, |webhook, _tls, line, http| NodeTransport::on(line, http));
    }

    /// The same into a NATS JetStream stream: to `nats` URLs, and to no others.
    #[cfg(feature = "nats")]
    pub async fn run_nats(&mut self, stack: Stack<'static>, login: Login<'_>) {
        deliver!(self, stack, |webhook, _tls, line, buf| NatsTransport::on(line, buf, login));
    }
}

#[cfg(feature = "tls")]
impl Runner<TlsMemory> {
    /// Delivers over `stack` until the webhook is closed. While the stack has no configuration (DHCP takes
    /// seconds), events wait. `roots` are the trusted CA certificates in
    /// DER, `rng` gives each connection its keys; until the [`wall`](Webhook::wall) time is known,
    /// `https` is refused. Dropping the future loses nothing; it may be run again.
    pub async fn run(
        &mut self,
        stack: Stack<'static>,
        roots: &[&[u8]],
        rng: &mut dyn CryptoRngCore,
    ) {
        deliver!(self, stack, |webhook, tls, line, http| {
            let records = Records::new(tls.rx, tls.tx);
            line.set_tls(Tls::over(records, roots, rng, webhook.wall()).into());
            NodeTransport::on(line, http)
        });
    }

    /// The same into a NATS JetStream stream: to `tls` and `nats` URLs, and to no others.
    #[cfg(feature = "nats")]
    pub async fn run_nats(
        &mut self,
        stack: Stack<'static>,
        login: Login<'_>,
        roots: &[&[u8]],
        rng: &mut dyn CryptoRngCore,
    ) {
        deliver!(self, stack, |webhook, tls, line, buf| {
            let tls = Tls::over(Records::new(tls.rx, tls.tx), roots, rng, webhook.wall());
            line.set_tls(tls.into());
            NatsTransport::on(line, buf, login)
        });
    }
}

#[cfg(feature = "rustls")]
impl Runner<TlsMemory> {
    /// As with the feature `tls` [`run`](Self::run), over rustls instead of embedded-tls. See [`Rustls`].
    pub async fn run_rustls(
        &mut self,
        stack: Stack<'static>,
        roots: &'static [&'static [u8]],
        rng: &mut dyn CryptoRngCore,
    ) {
        deliver!(self, stack, |webhook, tls, line, http| {
            let tls = Rustls::over(tls.rx, tls.tx, roots, rng, webhook.wall());
            line.set_tls(tls.into());
            NodeTransport::on(line, http)
        });
    }

    /// The same with a certificate of the node's own, for receivers that ask for one.
    pub async fn run_rustls_as(
        &mut self,
        identity: ClientIdentity,
        stack: Stack<'static>,
        roots: &'static [&'static [u8]],
        rng: &mut dyn CryptoRngCore,
    ) {
        deliver!(self, stack, |webhook, tls, line, http| {
            let tls = Rustls::over(tls.rx, tls.tx, roots, rng, webhook.wall());
            line.set_tls(tls.with_identity(identity).into());
            NodeTransport::on(line, http)
        });
    }

    /// As [`run_rustls`](Self::run_rustls) into a NATS JetStream stream: to `tls` and `nats` URLs, and to no others.
    #[cfg(feature = "nats")]
    pub async fn run_nats_rustls(
        &mut self,
        stack: Stack<'static>,
        login: Login<'_>,
        roots: &'static [&'static [u8]],
        rng: &mut dyn CryptoRngCore,
    ) {
        deliver!(self, stack, |webhook, tls, line, buf| {
            let tls = Rustls::over(tls.rx, tls.tx, roots, rng, webhook.wall());
            line.set_tls(tls.into());
            NatsTransport::on(line, buf, login)
        });
    }

    /// The same with a certificate of the node's own, for servers that ask for one (`verify`) or know users by theirs
    /// (`verify_and_map`, with [`Login::None`]).
    #[cfg(feature = "nats")]
    pub async fn run_nats_rustls_as(
        &mut self,
        identity: ClientIdentity,
        stack: Stack<'static>,
        login: Login<'_>,
        roots: &'static [&'static [u8]],
        rng: &mut dyn CryptoRngCore,
    ) {
        deliver!(self, stack, |webhook, tls, line, buf| {
            let tls = Rustls::over(tls.rx, tls.tx, roots, rng, webhook.wall());
            line.set_tls(tls.with_identity(identity).into());
            NatsTransport::on(line, buf, login)
        });
    }
}

/// How often a stack without a configuration is polled, and the wall time while it is not known. `Stack::wait_config_up` is of no use here: a stack
/// stores one waker, and two waiting tasks would wake each other for ever. Arbitrary: an acceptable delay
/// of an event.
const LOOK: Duration = Duration::from_millis(250);

type Net<'n, 'd> = LookUps<'n, SocketNet<'d>>;

/// The same for all.
async fn deliver(
    stack: Stack<'_>,
    webhook: Webhook,
    net: &Net<'_, '_>,
    transport: &mut impl Transport<Target>,
    buffer: &mut [u8],
) {
    let worker = select(work(webhook, transport, buffer), net.run());
    let is_draining = || webhook.0.dispatcher.is_draining();
    while_configured(stack, is_draining, pin!(worker)).await;
}

/// The worker over any transport.
async fn work(webhook: Webhook, transport: &mut impl Transport<Target>, buffer: &mut [u8]) {
    let (shared, clock) = (webhook.0, webhook.clock());
    let signer = (&shared.secret, shared.signer);
    let encoding = Encoding { format: shared.format, signer: &signer };
    run(&shared.dispatcher, transport, &clock, encoding, buffer).await;
}

/// Runs the worker while `stack` has a configuration: without one no attempt is made, and none is
/// counted. The deadline of a clear or a close counts all the same.
async fn while_configured(
    stack: Stack<'_>,
    is_draining: impl Fn() -> bool,
    mut worker: Pin<&mut impl Future>,
) {
    let mut look = Timer::after(LOOK);
    poll_fn(|cx| {
        while !stack.is_config_up() && !is_draining() {
            ready!(pin!(&mut look).poll(cx));
            look = Timer::after(LOOK);
        }
        worker.as_mut().poll(cx).map(drop)
    })
    .await;
}
