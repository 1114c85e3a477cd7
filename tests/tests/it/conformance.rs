//! The tables of `core/tests/data`, through the worker loop, over both transports, against real servers.

use std::sync::Arc;

use pilot_webhook_tests::Setup;
use pilot_webhook_tests::conformance::{destinations, leaves_the_connection, payloads, statuses};
use pilot_webhook_tests::nal::{Counts, TokioNet};

use crate::transports;

/// From 100 to 999, each without and with a `Retry-After`.
const STATUSES: usize = 2 * 900;
const VECTORS: usize = 33;

#[tokio::test]
async fn statuses_over_std() {
    assert_eq!(statuses(transports::std).await, STATUSES);
}

#[tokio::test]
async fn statuses_over_embassy() {
    assert_eq!(statuses(transports::node).await, STATUSES);
}

#[tokio::test]
async fn payloads_over_std() {
    assert_eq!(payloads(transports::std).await, VECTORS);
}

#[tokio::test]
async fn payloads_over_embassy() {
    assert_eq!(payloads(transports::node).await, VECTORS);
}

/// Whom std's sockets dial is seen by what they meet, so only this host's addresses are dialled.
#[tokio::test]
async fn destinations_over_std() {
    let attempted = destinations(transports::std, None).await;
    println!("{attempted:?}");
    assert!(attempted.refused > 100 && attempted.dialled >= 10, "{attempted:?}");
}

#[tokio::test]
async fn destinations_over_embassy() {
    let counts = Arc::<Counts>::default();
    let make = |setup: &Setup| {
        let mut net = TokioNet::knowing(setup.names);
        net.counts = Arc::clone(&counts);
        transports::node_over(net, setup)
    };
    let dialled = || std::mem::take(&mut *counts.dialled.lock().unwrap());
    let attempted = destinations(make, Some(&dialled)).await;
    println!("{attempted:?}");
    assert!(attempted.refused > 100 && attempted.dialled > 100, "{attempted:?}");
    assert_eq!(attempted.left_out, 0);
}

#[tokio::test]
async fn an_attempt_after_a_failure_leaves_the_connection_over_std() {
    leaves_the_connection(transports::std).await;
}

#[tokio::test]
async fn an_attempt_after_a_failure_leaves_the_connection_over_embassy() {
    leaves_the_connection(transports::node).await;
}
