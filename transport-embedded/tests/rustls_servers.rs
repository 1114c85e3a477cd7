//! rustls without its standard library against real servers.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests say where and why"
)]

mod support;

use pilot_webhook_tests::Server;
use support::net::TokioNet;
use support::pki;
use support::{authority, good_tls, post, rustls as node};

fn by_name(server: &Server) -> String {
    format!("https://{}:{}/hook", pki::NAME, server.address().port())
}

#[tokio::test]
async fn a_good_server_is_accepted() {
    let server = good_tls(pki::rustls(&authority().server())).await;
    let mut node = node(TokioNet::default().with(pki::NAME, "127.0.0.1"), &[authority().root()]);
    for _ in 0..3 {
        assert_eq!(post(&mut node, &by_name(&server)).await.map(|reply| reply.code), Ok(200));
    }
    assert_eq!(server.connections(), 1);
}
