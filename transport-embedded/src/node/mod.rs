//! A node's webhook: a handle that can be copied, and a runner for one task.

mod error;
mod options;
mod resources;
mod runner;

use core::fmt;
use core::mem::MaybeUninit;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use pilot_webhook_core::{
    Clock as _, Config, ConfigError, Data, Dispatcher, EmitError, EndpointBuf, Event, Format,
    Observer, Policy, Scheme, Secret, SecretCell, Signer, Stats,
};

pub use error::SetError;
pub use options::Options;
#[cfg(feature = "_https")]
pub use resources::TlsMemory;
use resources::{Lent, Parts};
pub use resources::{Resources, TlsResources};
pub use runner::Runner;
#[cfg(feature = "_https")]
pub use runner::TlsRunner;

use crate::clock::{EmbassyClock, WallTime};

/// What a URL may begin with.
#[cfg(feature = "nats")]
const SCHEMES: &[Scheme] = &[Scheme::Http, Scheme::Https, Scheme::Nats, Scheme::Tls];
#[cfg(not(feature = "nats"))]
const SCHEMES: &[Scheme] = &[Scheme::Http, Scheme::Https];
/// Wakers for each kind of waiting: the worker, and a task that waits for room or for the end.
const WAKERS: usize = 2;
/// The longest URL, in bytes. The webhook URLs of public services are at most 230 long.
const URL: usize = 256;
/// Bytes for the topic and the data of an event that is emitted, on the caller's stack.
const SCRATCH: usize = 512;

/// What a webhook's transport delivers to: an `http` or `https` URL of up to 256 bytes; with the feature `nats`
/// also a `nats` or `tls` one.
pub type Target = EndpointBuf<URL>;

type NodeDispatcher = Dispatcher<
    CriticalSectionRawMutex,
    &'static mut [u8],
    Target,
    &'static (dyn Observer + Sync),
    WAKERS,
>;

struct Shared {
    node_id: u32,
    policy: Policy,
    dispatcher: NodeDispatcher,
    format: &'static dyn Format,
    signer: &'static dyn Signer,
    secret: SecretCell<CriticalSectionRawMutex>,
    wall: WallTime,
}

/// Makes a webhook: its handle, and the runner for a task of its own.
///
/// ```
/// # use pilot_webhook_embassy::{Options, Resources};
/// # fn app(resources: &'static mut Resources<8_192>) -> Option<()> {
/// // `resources` is a `static`, taken once (`static_cell::ConstStaticCell`).
/// let (webhook, runner) = pilot_webhook_embassy::new(resources, Options::new(7, 0x5eed)).ok()?;
/// webhook.set_url("http://192.168.1.2/hook").ok()?;
/// # let _ = runner;
/// # Some(())
/// # }
/// ```
///
/// # Errors
/// The config is invalid, or the resources have no room for any event
/// ([`ConfigError::MaxEventBytes`]).
pub fn new<const QUEUE: usize, T: TlsResources, const EVENT: usize, const IO: usize>(
    resources: &'static mut Resources<QUEUE, T, EVENT, IO>,
    options: Options,
) -> Result<(Webhook, Runner<T::Lent>), ConfigError> {
    let Lent { shared, runner, queue, buffers, tls } = resources.lend();
    let webhook = start(shared, queue, buffers.event.len(), options)?;
    Ok((webhook, Runner(runner.write(Parts { webhook, buffers, tls }))))
}

/// Compiled once, and on a stack of its own: what it builds is moved to where it stays.
#[inline(never)]
fn start(
    shared: &'static mut MaybeUninit<Shared>,
    queue: &'static mut [u8],
    event: usize,
    options: Options,
) -> Result<Webhook, ConfigError> {
    let Options { node_id, seed, config, policy, format, signer, observer } = options;
    let max_event_bytes = format.bound().texts(event);
    let config = Config { max_event_bytes, ..config };
    config.validate_for(format)?;
    Ok(Webhook(shared.write(Shared {
        node_id,
        policy,
        dispatcher: Dispatcher::with_observer(config, queue, seed, observer),
        format,
        signer,
        secret: SecretCell::new(),
        wall: WallTime::new(),
    })))
}

/// A node's webhook. It is a reference: copies are the same webhook, for tasks and interrupts.
#[derive(Clone, Copy)]
pub struct Webhook(&'static Shared);

impl Webhook {
    /// The node's wall time, to be set once it is known. Events that are emitted before are
    /// stamped with the time since boot, from 1970-01-01 on; see [`WallTime`].
    #[must_use]
    pub const fn wall(self) -> &'static WallTime {
        &self.0.wall
    }

    /// Sends events to `url` from now on, those that wait included; with an empty one, to nowhere, as
    /// [`clear`](Self::clear) does. Setting the URL that is set changes nothing.
    ///
    /// # Errors
    /// The URL is not accepted, or the webhook is closed. Nothing changed.
    pub fn set_url(self, url: &str) -> Result<(), SetError> {
        if url.is_empty() {
            self.clear();
            return Ok(());
        }
        let endpoint =
            EndpointBuf::parse_with(SCHEMES, url, self.0.policy).map_err(SetError::Endpoint)?;
        self.0.dispatcher.set_endpoint(endpoint).map_err(|_| SetError::Closed)
    }

    /// Signs with `secret` from the next attempt on.
    ///
    /// # Errors
    /// When it is empty; the old one still counts then.
    pub fn set_secret(self, secret: &[u8]) -> Result<(), SetError> {
        let secret = Secret::new(secret).ok_or(SetError::EmptySecret)?;
        self.0.secret.set(Some(secret));
        Ok(())
    }

    /// Signs with no secret from the next attempt on.
    pub fn clear_secret(self) {
        self.0.secret.set(None);
    }

    /// Delivers nowhere from now on: emitting does nothing. What waits still goes out, for at most the
    /// drain timeout. Returns at once.
    pub fn clear(self) {
        self.0.dispatcher.clear(self.clock().now());
    }

    /// Takes in an event, stamped with the time now, and returns its id; `None` without a URL.
    /// Never waits. For tasks and interrupts; takes 512 bytes of the caller's stack, which bound the
    /// topic and the data, and a little more.
    ///
    /// # Errors
    /// When the event is not queued. It is counted, unless the webhook is closed.
    pub fn emit<D: Data + ?Sized>(self, topic: &str, data: &D) -> Result<Option<u64>, EmitError> {
        self.emit_event(&self.event(topic), data, &mut [0; SCRATCH])
    }

    /// Takes in an event whose node id, time stamp and id the caller sets. It is encoded in `scratch`,
    /// which bounds the topic and the data.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    pub fn emit_event<D: Data + ?Sized>(
        self,
        event: &Event<'_>,
        data: &D,
        scratch: &mut [u8],
    ) -> Result<Option<u64>, EmitError> {
        self.0.dispatcher.emit(event, data, scratch)
    }

    /// Like [`emit`](Self::emit), but waits until there is room, with 512 bytes in its future.
    ///
    /// # Errors
    /// As `emit`, but for [`EmitError::Full`].
    pub async fn emit_when_room<D: Data + ?Sized>(
        self,
        topic: &str,
        data: &D,
    ) -> Result<Option<u64>, EmitError> {
        self.0.dispatcher.emit_when_room(&self.event(topic), data, &mut [0; SCRATCH]).await
    }

    /// The counters at this instant.
    #[must_use]
    pub fn stats(self) -> Stats {
        self.0.dispatcher.stats()
    }

    /// Completes when at least half of the queue is free, or when events are turned away for another reason: the
    /// moment to emit again after [`EmitError::Full`]. Cancel-safe.
    pub async fn room(self) {
        self.0.dispatcher.room().await;
    }

    /// Completes when nothing is queued or in flight, however long that takes. Emitters may go on.
    pub async fn drained(self) {
        self.0.dispatcher.drained().await;
    }

    /// Refuses new events, delivers what is queued for at most the drain timeout, counts the rest as
    /// abandoned, and ends the runner. Idempotent, and cancel-safe: it goes on without the caller.
    pub async fn close(self) {
        self.0.dispatcher.close(self.clock().now());
        self.0.dispatcher.closed().await;
    }

    const fn policy(self) -> Policy {
        self.0.policy
    }

    const fn clock(self) -> EmbassyClock<'static> {
        EmbassyClock::new(&self.0.wall)
    }

    /// An event that happens now on this node.
    #[must_use]
    pub fn event(self, topic: &str) -> Event<'_> {
        Event::new(topic, self.0.node_id, self.clock().wall())
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
