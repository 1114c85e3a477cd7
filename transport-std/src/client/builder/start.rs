//! What options become: a client, or the reason why not.

use pilot_webhook_core::standard::Keys;
#[cfg(feature = "outbox")]
use pilot_webhook_core::{LongWaits, OnOpen};
use pilot_webhook_core::{Policy, SendTransport};
use tokio::runtime::Handle;

use super::Options;
use crate::client::engine::MAX_IN_FLIGHT;
use crate::client::error::ClientError;
use crate::client::handle::{Client, Parts};
use crate::client::raw_mutex::StdRawMutex;
use crate::client::worker::{Equipment, Target};
use crate::http::HttpShared;

/// Default bytes of queue for each event of its capacity. Arbitrary: five times the
/// middle of the captured events' payloads. Memory is touched only where it is used.
const BYTES_PER_EVENT: usize = 1_024;
/// Upper bound of the default queue size, in bytes: the queue's lengths are 31-bit.
const MAX_QUEUE_BYTES: usize = i32::MAX as usize;
/// The longest batch, in bytes, unless a single event is longer. Arbitrary: nginx's default limit of a
/// body (`client_max_body_size`).
const MAX_BATCH_BYTES: usize = 1024 * 1024;

impl Options {
    /// Whether they can be used, as far as that is known without a target.
    pub(super) fn check(&self) -> Result<(), ClientError> {
        if !(1..=MAX_IN_FLIGHT).contains(&self.config.max_in_flight) {
            return Err(ClientError::MaxInFlight);
        }
        self.config.validate_for(&*self.format)?;
        if matches!(self.secret, Some(None)) {
            return Err(ClientError::EmptySecret);
        }
        Keys::<StdRawMutex>::new().set(&self.keys).map_err(ClientError::Key)
    }

    pub(super) fn start<To, S, F>(
        mut self,
        transport: F,
        target: Option<To>,
        policy: Policy,
        http: Option<HttpShared>,
        name: fn(&To) -> String,
    ) -> Result<Client<To>, ClientError>
    where
        To: Target,
        S: SendTransport<To> + 'static,
        F: Fn() -> S + Send + Sync + 'static,
    {
        self.check()?;
        #[cfg(feature = "outbox")]
        if self.outbox.is_some() {
            self.config.on_open = OnOpen::Hold;
            self.config.long_waits = LongWaits::Keep;
        }
        let runtime = Handle::try_current().map_err(|_| ClientError::NoRuntime)?;
        let events = usize::try_from(self.config.capacity).unwrap_or(usize::MAX);
        let least = self.config.max_event_bytes.saturating_mul(2);
        let queue_bytes = events.saturating_mul(BYTES_PER_EVENT).min(MAX_QUEUE_BYTES).max(least);
        let queue_bytes = self.queue_bytes.unwrap_or(queue_bytes);
        // A longer event would never fit the queue, and the buffers of workers and emitters are made for
        // the longest.
        self.config.max_event_bytes = self.config.max_event_bytes.min(queue_bytes);
        let batch = BYTES_PER_EVENT.saturating_mul(self.config.batch.into()).min(MAX_BATCH_BYTES);
        let longest = self.format.bound().buffer(1, self.config.max_event_bytes);
        let buffer_bytes = batch.max(longest);
        let parts = Parts {
            node_id: self.node_id,
            config: self.config,
            queue_bytes,
            secret: self.secret.flatten(),
            keys: self.keys,
            policy,
            http,
            runtime,
            called: self.called,
            hooks: self.hooks,
            on_panic: self.on_panic,
            name,
            #[cfg(feature = "outbox")]
            outbox: self.outbox,
            is_gone: self.is_gone,
        };
        let Self { format, signer, trace, .. } = self;
        let equipment = Equipment { transport, format, signer, trace, buffer_bytes };
        Client::start(parts, equipment, target)
    }
}
