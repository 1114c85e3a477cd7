//! The message that a batch becomes: its body, its headers, its signature.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    BATCH_HEADER, Config, Encoding, EndpointBuf, ErrorKind, Headers, MESSAGE_ID_HEADER, Message,
    Reply, SIGNATURE_HEADER, Secret, Signer, ToSign, Transport, run,
};

use super::{BUFFER, Core, NOW, array, batches, core, emit, event};
use crate::support::still::Still;

/// Keeps what it gets.
#[derive(Default)]
struct Receiver {
    bodies: RefCell<Vec<String>>,
    headers: RefCell<Vec<Vec<(String, String)>>>,
}

impl Transport<EndpointBuf<64>> for &Receiver {
    type Error = ErrorKind;

    async fn send(
        &mut self,
        _: &EndpointBuf<64>,
        request: &Message<'_>,
    ) -> Result<Reply, ErrorKind> {
        assert_eq!(request.topic.as_str(), "t");
        let owned = request.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        self.headers.borrow_mut().push(owned.collect());
        self.bodies.borrow_mut().push(String::from_utf8(request.body.to_vec()).unwrap());
        Ok(Response::status(204).into())
    }
}

/// Sends until the worker waits.
fn work(core: &Core, mut receiver: &Receiver, encoding: Encoding<'_>) {
    let mut buffer = [0; BUFFER];
    let worker = pin!(run(core, &mut receiver, &Still(NOW), encoding, &mut buffer));
    assert!(worker.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn a_batch_says_how_many_it_holds_and_is_signed_as_a_whole() {
    let core = core(batches(200));
    let secret = Secret::new(b"key").unwrap();
    emit(&core, 2);
    let receiver = Receiver::default();
    work(&core, &receiver, Encoding { signer: &secret, ..Encoding::PILOT });
    assert_eq!(*receiver.bodies.borrow(), [array(1..=2)]);
    let expected = [
        ("Content-Type".to_owned(), "application/json".to_owned()),
        (MESSAGE_ID_HEADER.into(), "1-0000000000000001-1-2-2".into()),
        (BATCH_HEADER.into(), "2".into()),
        (SIGNATURE_HEADER.into(), secret.sign(array(1..=2).as_bytes()).as_str().to_owned()),
    ];
    assert_eq!(receiver.headers.borrow()[0], expected);
}

#[test]
fn without_batches_an_event_is_no_array_and_no_header_counts_it() {
    let core = core(batches(1));
    emit(&core, 2);
    let receiver = Receiver::default();
    work(&core, &receiver, Encoding::PILOT);
    assert_eq!(*receiver.bodies.borrow(), [event(1), event(2)]);
    let names =
        receiver.headers.borrow()[0].iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names, ["Content-Type", MESSAGE_ID_HEADER]);
}

/// Its headers have no room. (A body that has none: `tests/tests/it/seams.rs`.)
#[test]
fn a_batch_that_cannot_be_made_is_oversize_and_no_attempt() {
    struct Long;
    impl Signer for Long {
        fn sign(&self, _: &ToSign<'_>, headers: &mut Headers<'_>) {
            headers.format("long", "x".repeat(1_000));
        }
    }
    let core = core(Config { batch: 2, ..Config::DEFAULT });
    emit(&core, 2);
    let receiver = Receiver::default();
    work(&core, &receiver, Encoding { signer: &Long, ..Encoding::PILOT });
    let stats = core.stats();
    assert_eq!((stats.oversize, stats.attempts, stats.queued), (2, 0, 0));
    assert!(receiver.bodies.borrow().is_empty() && stats.is_balanced());
}
