//! `traceparent`: which attempts are in one trace.

use std::time::Duration;

use pilot_webhook_core::{
    Bound, EncodeError, ErrorKind, Events, Format, Headers, MESSAGE_ID_HEADER, Message,
    PilotFormat, Reply, SendTransport, Verdict, Writer,
};
use pilot_webhook_std::ClientBuilder;
use tokio::sync::mpsc;

/// Tells which trace and which span an attempt was sent with. The first attempt is to come again.
struct Traces(mpsc::UnboundedSender<Option<(String, String)>>);

impl SendTransport<()> for Traces {
    type Error = ErrorKind;

    async fn send(&mut self, (): &(), message: &Message<'_>) -> Result<Reply, ErrorKind> {
        let header = message.headers.iter().find(|(name, _)| *name == "traceparent");
        let parts = header.map(|(_, value)| value.split('-').map(str::to_owned));
        let pair = parts.and_then(|mut parts| parts.nth(1).zip(parts.next()));
        self.0.send(pair).unwrap();
        let verdict = if message.attempt == 1 { Verdict::Later(None) } else { Verdict::Accepted };
        Ok(Reply { verdict, code: 1 })
    }
}

/// Pilot's format under another message's id, as a gateway relays.
struct Relayed;

impl Format for Relayed {
    fn bound(&self) -> Bound {
        PilotFormat::BOUND
    }

    fn encode(&self, events: &Events<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        PilotFormat.encode(events, out)
    }

    fn headers<'h>(&'h self, _events: &Events<'h>, headers: &mut Headers<'h>) {
        headers.push(MESSAGE_ID_HEADER, "7-9f86d081884c7d65-42");
    }
}

/// The traces and spans of an event's two attempts, by a client of its own.
async fn attempts(
    format: impl Format + Send + 'static,
    is_wanted: bool,
) -> Vec<Option<(String, String)>> {
    let (sender, mut sent) = mpsc::unbounded_channel();
    let client = ClientBuilder::with_transport(move || Traces(sender.clone()), Some(()))
        .format(format)
        .traceparent(is_wanted)
        .retry_backoff(Duration::from_millis(1))
        .build()
        .unwrap();
    client.emit("a", &1).unwrap();
    vec![sent.recv().await.unwrap(), sent.recv().await.unwrap()]
}

#[tokio::test]
async fn a_message_keeps_its_trace_and_each_attempt_is_a_span() {
    let (first, other) = (attempts(PilotFormat, true).await, attempts(PilotFormat, true).await);
    let [Some(a), Some(b)] = &first[..] else { unreachable!("two attempts with a trace") };
    assert!(a.0 == b.0 && a.1 != b.1, "{first:?}");
    assert_ne!(Some(&a.0), other[0].as_ref().map(|(trace, _)| trace));
    assert_eq!(attempts(PilotFormat, false).await, [None, None]);
}

#[tokio::test]
async fn whoever_relays_a_message_under_its_id_stays_in_its_trace() {
    let (one, other) = (attempts(Relayed, true).await, attempts(Relayed, true).await);
    let all: Vec<_> = one.into_iter().chain(other).map(|sent| sent.unwrap().0).collect();
    assert_eq!(all.iter().filter(|trace| **trace == all[0]).count(), 4, "{all:?}");
}
