//! The transport: one publication, which is over when the server has stored the message.

use std::fmt;

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use pilot_webhook_core::nats::{STORED, Subject, TOO_LARGE};
use pilot_webhook_core::{Message, Reply, SendTransport, Verdict};

use crate::nats::config::NatsShared;
use crate::nats::error::{NatsError, judge};
use crate::nats::target::NatsTarget;

/// Publishes events to a JetStream stream. All transports of a client share one connection, which the
/// library makes again when it is lost.
///
/// A message is one event: a batch is answered as too large, so that its events come one by one. The headers
/// of the format and of the signer become headers of the message.
///
/// There is no timeout here: the caller drops the future. The message may have been published by then; the
/// stream knows it by its `Nats-Msg-Id`, for as long as the stream's duplicate window is.
///
/// Must be used within a tokio runtime with I/O and time enabled.
pub struct NatsTransport {
    shared: NatsShared,
}

impl NatsTransport {
    /// A transport over the connection that `shared` makes at the first message.
    #[must_use]
    pub fn new(shared: &NatsShared) -> Self {
        Self { shared: shared.clone() }
    }
}

impl SendTransport<NatsTarget> for NatsTransport {
    type Error = NatsError;

    async fn send(&mut self, to: &NatsTarget, message: &Message<'_>) -> Result<Reply, NatsError> {
        if message.id.events > 1 {
            return Ok(Reply { verdict: Verdict::TooLarge, code: TOO_LARGE });
        }
        let (prefix, node_id, topic) = (to.prefix(), message.id.node_id, message.topic.as_str());
        let subject = Subject { prefix, node_id, topic }.to_string();
        let mut headers = HeaderMap::new();
        for (name, value) in message.headers {
            headers.append(*name, *value);
        }
        let publish = PublishMessage::build()
            .headers(headers)
            .message_id(message.id.to_string())
            .payload(message.body.to_vec().into());
        let cell = self.shared.links.to(to).await?;
        // Made by `to`.
        let Some(link) = cell.get() else { return Err(NatsError::Disconnected) };
        link.up().await?;
        let refused = link.refused(&subject);
        let answer = async { link.context().send_publish(subject, publish).await?.await };
        let answer = tokio::select! {
            answer = answer => match answer {
                Ok(_stored) => Ok(Reply { verdict: Verdict::Accepted, code: STORED }),
                Err(error) => judge(error),
            },
            error = refused => Err(error),
            error = link.lost() => Err(error),
        };
        if link.is_deaf() {
            // Another connection may be permitted more.
            self.shared.links.forget(&cell);
        }
        answer
    }
}

impl fmt::Debug for NatsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsTransport").field("shared", &self.shared).finish_non_exhaustive()
    }
}
