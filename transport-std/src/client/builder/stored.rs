//! The options of a client whose events stand in an outbox.

use tokio::sync::watch;

use super::ClientBuilder;
use crate::client::durable::StoredIn;
use crate::outbox::{Outbox, OutboxEndpoint};

impl<V> ClientBuilder<V> {
    /// Events stand in this outbox until their story is over, over restarts, too: what is emitted is stored,
    /// with or without a target, and handed to the engine in order, as it has room. The engine holds events
    /// while the breaker is open (`on_open` does not count), and its queue is a window over the file. What
    /// is not delivered becomes a dead letter. In the file it is the endpoint `pilot`. The client closes the outbox when
    /// it is closed.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use pilot_webhook_std::{Client, Outbox, OutboxOptions};
    /// let outbox = Outbox::open("events.db", OutboxOptions::default())?;
    /// let client = Client::builder("https://example.org/hook").outbox(outbox).build()?;
    /// let id = client.emit_durable("conn.established", &2).await?;
    /// println!("event {id} is on disk");
    /// # Ok(())
    /// # }
    /// ```
    #[allow(clippy::needless_pass_by_value, reason = "the client has it, and closes it")]
    pub fn outbox(mut self, outbox: Outbox) -> Self {
        self.options.outbox = Some(StoredIn { endpoint: outbox.pilot(), owns: true, after: None });
        self
    }

    /// As [`outbox`](Self::outbox), for one of several endpoints of an outbox. What is emitted is stored for this one. The
    /// outbox is not closed with the client.
    pub fn outbox_endpoint(mut self, endpoint: OutboxEndpoint) -> Self {
        self.options.outbox = Some(StoredIn { endpoint, owns: false, after: None });
        self
    }

    /// As [`outbox_endpoint`](Self::outbox_endpoint), and delivers when the other end of `after` is gone: another client
    /// delivers for the endpoint until then.
    pub(crate) fn outbox_endpoint_after(
        mut self,
        endpoint: OutboxEndpoint,
        after: watch::Receiver<()>,
    ) -> Self {
        self.options.outbox = Some(StoredIn { endpoint, owns: false, after: Some(after) });
        self
    }

    /// Whether an outbox was given.
    pub(crate) const fn has_outbox(&self) -> bool {
        self.options.outbox.is_some()
    }
}
