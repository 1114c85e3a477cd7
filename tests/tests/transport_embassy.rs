//! The shared scenarios, played to the embedded transport, over sockets of this host.

#![allow(clippy::unwrap_used, reason = "a failed test should say where and why at once")]

mod transports;

use pilot_webhook_tests::run_all;

#[tokio::test]
async fn all_scenarios() {
    run_all(transports::NODE, transports::node).await;
}
