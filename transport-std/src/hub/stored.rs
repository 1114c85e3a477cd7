//! The methods of a hub whose endpoint has an outbox.

use std::sync::Arc;

use pilot_webhook_core::{Data, Event};

use super::Hub;
use super::endpoint::HubEndpoint;
use crate::client::StoreError;
use crate::outbox::{Outbox, Pending};

impl Hub {
    /// Hands an event to the outbox, as [`Client::put_event`](crate::Client::put_event) does.
    ///
    /// # Errors
    /// When it was not taken. [`StoreError::NoOutbox`] without an outbox.
    pub fn put_event<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        origin_id: Option<u64>,
        data: &D,
    ) -> Result<Pending, StoreError> {
        let stored = self.stored().ok_or(StoreError::NoOutbox)?;
        stored.client.put_event(event, origin_id, data)
    }

    /// The outbox, if there is one.
    #[must_use]
    pub fn outbox(&self) -> Option<Outbox> {
        self.stored().and_then(|it| it.client.outbox().cloned())
    }

    /// The endpoint whose client has an outbox: it is the only one.
    pub(super) fn stored(&self) -> Option<Arc<HubEndpoint>> {
        self.inner.list.now().first().filter(|it| it.client.outbox().is_some()).cloned()
    }
}
