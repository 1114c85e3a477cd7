//! The shared scenarios, played to the embedded transport, over sockets of this host.

use pilot_webhook_tests::run_all;

use crate::transports;

#[tokio::test]
async fn all_scenarios() {
    run_all(transports::NODE, transports::node).await;
}
