//! The shared scenarios, played to the transport over reqwest.

use pilot_webhook_tests::run_all;

use crate::transports;

#[tokio::test]
async fn all_scenarios_on_one_thread() {
    run_all(transports::REQWEST, transports::reqwest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_scenarios_on_two_threads() {
    run_all(transports::REQWEST, transports::reqwest).await;
}
