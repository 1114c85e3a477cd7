//! What the tests of this transport share.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses a part of it")]

use std::sync::{Arc, OnceLock};

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{EndpointBuf, Message, Policy, Reply, Transport};
#[cfg(feature = "rustls")]
use pilot_webhook_embassy::Rustls;
#[cfg(feature = "tls")]
use pilot_webhook_embassy::Tls;
use pilot_webhook_embassy::{Buffers, Error, NodeTransport};
#[cfg(feature = "_https")]
use pilot_webhook_embassy::{TlsBuffers, UnknownTime, WallClock};

use pilot_webhook_tests::{Act, Script, Server};
pub use pilot_webhook_tests::{hostile_tls, nal as net, pki};

use net::TokioNet;

/// 2026-11-23, when this was written.
pub const NOW: u64 = 1_795_392_000;

pub const HEADERS: [(&str, &str); 1] = [("Content-Type", "application/json")];
pub const BODY: &[u8] = br#"{"event_id":1,"event":"test"}"#;

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A transport for one test. Memory leaks, as it does on a node, where it is static.
pub type Node = NodeTransport<'static, TokioNet>;

fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

/// A network that knows the name in good certificates.
pub fn here() -> TokioNet {
    TokioNet::default().with(pki::NAME, "127.0.0.1")
}

/// The URL of a server on this port, by that name.
pub fn by_name(port: u16) -> String {
    format!("https://{}:{port}/hook", pki::NAME)
}

/// Without TLS.
pub fn plain(net: TokioNet) -> Node {
    NodeTransport::new(leak(net), leak(Buffers::<1_024>::new()), Policy::default())
}

/// Whether the TLS client is rustls: in the tests whose name begins so. The others have embedded-tls.
pub const RUSTLS: bool = {
    let name = env!("CARGO_CRATE_NAME").as_bytes();
    matches!(name, [b'r', b'u', b's', b't', b'l', b's', ..])
};

/// What is expected of embedded-tls, or of rustls.
pub fn either<T>(embedded: T, rustls: T) -> T {
    if RUSTLS { rustls } else { embedded }
}

/// With TLS, trusting these roots at the time [`NOW`].
#[cfg(feature = "_https")]
pub fn tls(net: TokioNet, roots: &[&[u8]]) -> Node {
    tls_at(net, roots, || Some(NOW), UnknownTime::Refuse)
}

/// With TLS, trusting these roots, with this clock.
#[cfg(feature = "_https")]
pub fn tls_at(
    net: TokioNet,
    roots: &[&[u8]],
    clock: impl WallClock + 'static,
    unknown: UnknownTime,
) -> Node {
    tls_in(leak(TlsBuffers::<16_640, 1_024>::new()), net, roots, clock, unknown)
}

/// With TLS in these buffers, trusting the usual authority at the time [`NOW`].
#[cfg(feature = "_https")]
pub fn tls_with<const RX: usize, const TX: usize>() -> Node {
    let buffers = leak(TlsBuffers::<RX, TX>::new());
    tls_in(buffers, here(), &[authority().root()], || Some(NOW), UnknownTime::Refuse)
}

/// With TLS in these buffers.
#[cfg(feature = "_https")]
pub fn tls_in<const RX: usize, const TX: usize>(
    buffers: &'static mut TlsBuffers<RX, TX>,
    net: TokioNet,
    roots: &[&[u8]],
    clock: impl WallClock + 'static,
    unknown: UnknownTime,
) -> Node {
    let roots: Vec<&'static [u8]> = roots.iter().map(|root| &*root.to_vec().leak()).collect();
    let (roots, rng, clock) = (roots.leak(), leak(rand_core::OsRng), leak(clock));
    #[cfg(feature = "rustls")]
    if RUSTLS {
        let tls = Rustls::new(buffers, roots, rng, clock).when_time_unknown(unknown);
        return plain(net).with_tls(tls);
    }
    #[cfg(feature = "tls")]
    return plain(net).with_tls(Tls::new(buffers, roots, rng, clock).when_time_unknown(unknown));
    #[cfg(not(feature = "tls"))]
    panic!("this test needs the feature tls");
}

/// A record with a ticket of this length, good for an hour.
pub fn ticket(length: usize) -> hostile_tls::After {
    let size = u16::try_from(length).unwrap().to_be_bytes();
    let parts = [&[0, 0, 14, 16, 1, 2, 3, 4, 0][..], &size, &vec![7; length], &[0, 0]];
    hostile_tls::After::Record(hostile_tls::handshake(4, &parts.concat()), 22)
}

/// Posts [`BODY`].
pub async fn post(node: &mut Node, url: &str) -> Result<Reply, Error> {
    post_body(node, url, BODY).await
}

pub async fn post_body(node: &mut Node, url: &str, body: &[u8]) -> Result<Reply, Error> {
    let endpoint = EndpointBuf::<512>::parse(url, Policy::default()).unwrap();
    let message = Message::new(&HEADERS, body);
    // The engine's bound, so that a hang is a failure and not a hang.
    let post = node.send(&endpoint, &message);
    tokio::time::timeout(std::time::Duration::from_secs(20), post).await.expect("it hangs")
}

pub fn send(text: impl AsRef<[u8]>) -> Act {
    Act::Send(text.as_ref().to_vec())
}

/// A server for a few connections that does this on each.
pub async fn serve(script: Script) -> Server {
    Server::start(vec![script; 50], None).await
}

/// A server that answers every request well.
pub async fn good() -> Server {
    serve(vec![Act::Serve(|_| vec![send(OK)])]).await
}

/// The same over TLS.
pub async fn good_tls(config: rustls::ServerConfig) -> Server {
    Server::start(vec![vec![Act::Serve(|_| vec![send(OK)])]; 50], Some(Arc::new(config))).await
}

/// The server's URL, by its address.
pub fn url(server: &Server) -> String {
    format!("http://{}/hook?key=1", server.address())
}

/// The tests' usual authority, made once.
pub fn authority() -> &'static pki::Authority {
    static AUTHORITY: OnceLock<pki::Authority> = OnceLock::new();
    AUTHORITY.get_or_init(pki::Authority::new)
}
