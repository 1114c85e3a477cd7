//! Several messages in flight, some of which fail again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use pilot_webhook_core::{ErrorKind, Message, Reply, SendTransport, Verdict};
use pilot_webhook_std::{ClientBuilder, Notice, OnOpen};
use tokio::sync::mpsc;

/// Takes all events but the first ones.
struct Picky {
    refused: u64,
    tell: mpsc::UnboundedSender<u64>,
}

impl SendTransport<()> for Picky {
    type Error = ErrorKind;

    async fn send(&mut self, (): &(), message: &Message<'_>) -> Result<Reply, ErrorKind> {
        let id = message.id.first;
        if id <= self.refused {
            return Ok(Reply { verdict: Verdict::Later(None), code: 503 });
        }
        let _ = self.tell.send(id);
        Ok(Reply { verdict: Verdict::Accepted, code: 200 })
    }
}

/// Four events that fail held all four places: the others waited for their backoffs.
#[tokio::test]
async fn events_that_wait_for_their_next_attempt_hold_back_no_others() {
    for posts in [4, 16, 17, 64] {
        let (tell, mut told) = mpsc::unbounded_channel();
        let transport = move || Picky { refused: posts.into(), tell: tell.clone() };
        let client = ClientBuilder::with_transport(transport, Some(()))
            .max_in_flight(posts)
            .on_open(OnOpen::Hold)
            .retry_backoff(Duration::from_secs(3_600))
            .drain_timeout(Duration::ZERO)
            .build()
            .unwrap();
        for _ in 0..200 {
            client.emit("t", &1).unwrap();
        }
        for _ in u64::from(posts)..200 {
            told.recv().await.unwrap();
        }
        client.close().await;
        assert_eq!(client.stats().abandoned, u64::from(posts));
    }
}

/// The hook was still at it when a close returned: with an outbox, the end of the last event was not noted, and it was
/// delivered again after the next start.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_returns_when_the_end_of_every_event_was_told() {
    let ends = Arc::new(AtomicU32::new(0));
    let (told, (tell, _arrived)) = (Arc::clone(&ends), mpsc::unbounded_channel());
    let transport = move || Picky { refused: 0, tell: tell.clone() };
    let client = ClientBuilder::with_transport(transport, Some(()))
        .on_notice(move |notice| {
            if matches!(notice, Notice::Settled { .. }) {
                // Longer than it takes to wake up the one who closes.
                std::thread::sleep(Duration::from_millis(100));
                told.fetch_add(1, Relaxed);
            }
        })
        .build()
        .unwrap();
    client.emit("t", &1).unwrap();
    client.close().await;
    assert_eq!((client.stats().delivered, ends.load(Relaxed)), (1, 1));
}
