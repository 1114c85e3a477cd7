//! A node's events into a stream over TLS, by both of its TLS clients: the server is who it says, and is killed.

use std::collections::HashSet;
use std::path::Path;

use async_nats::ConnectOptions;
use async_nats::jetstream::Context;
use p256::SecretKey;
use p256::pkcs8::DecodePrivateKey as _;
use pilot_webhook_embassy::{
    ClientIdentity, Error, NatsFault, NatsLogin, Rustls, Tls, TlsBuffers, TlsFailure,
};
use pilot_webhook_tests::NatsServer;
use pilot_webhook_tests::hostile_tls::Identity;
use pilot_webhook_tests::nal::TokioNet;
use pilot_webhook_tests::pki::{Authority, Kind, expired, for_clients, leaf_for};
use serde_json::{Value, json};

use crate::streams::node::{
    Node, config, delivered, emit, leak, made, node_over, running, send, url,
};
use crate::streams::{events, jetstream, stored};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Client {
    Embedded,
    Rustls,
}

const CLIENTS: [Client; 2] = [Client::Embedded, Client::Rustls];

/// A network that knows the server's name.
fn net() -> TokioNet {
    TokioNet::default().with("localhost", "127.0.0.1")
}

fn secure(client: Client, net: TokioNet, authority: &Authority) -> Node {
    let node = node_over(net, NatsLogin::None);
    match client {
        Client::Embedded => {
            let (buffers, roots) = (leak(TlsBuffers::<16_640, 1_024>::new()), roots(authority));
            node.with_tls(Tls::new(buffers, roots, leak(rand_core::OsRng), leak(clock)))
        }
        Client::Rustls => node.with_tls(rustls(authority)),
    }
}

fn rustls(authority: &Authority) -> Rustls<'static> {
    let (buffers, roots) = (leak(TlsBuffers::<16_640, 1_024>::new()), roots(authority));
    Rustls::new(buffers, roots, leak(rand_core::OsRng), leak(clock))
}

fn roots(authority: &Authority) -> &'static [&'static [u8]] {
    let root: &'static [u8] = authority.root().to_vec().leak();
    leak([root])
}

/// 2026-11-23.
#[allow(clippy::unnecessary_wraps, reason = "a clock may not know the time")]
const fn clock() -> Option<u64> {
    Some(1_795_392_000)
}

fn is_there() -> bool {
    NatsServer::is_installed() && NatsServer::knows_handshake_first()
}

/// A server that begins with TLS.
fn start(folder: &Path, identity: &Identity) -> NatsServer {
    let tls = NatsServer::tls_first(folder, identity).unwrap();
    NatsServer::start(folder, &tls).unwrap()
}

async fn admin(folder: &Path, server: &NatsServer, authority: &Authority) -> Context {
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let admin = ConnectOptions::new().add_root_certificates(ca).tls_first();
    jetstream(admin.connect(format!("tls://localhost:{}", server.port())).await.unwrap())
}

#[tokio::test]
async fn the_connection_is_kept() {
    if !is_there() {
        return;
    }
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let server = start(folder.path(), &authority.issue(Kind::P256, leaf_for("localhost")));
    let admin = admin(folder.path(), &server, &authority).await;
    let stream = admin.create_stream(events()).await.unwrap();
    for (client, all) in CLIENTS.into_iter().zip([22, 44]) {
        let net = net();
        let node = secure(client, net.clone(), &authority);
        running(node, url("tls", server.port()), config(), async |engine| {
            for n in 1..=20 {
                emit(engine, "conn.established", &json!({ "n": n })).await;
            }
            // Longer than the transport's buffer, and longer than a record of the node's.
            emit(engine, "long", &json!("x".repeat(1_000))).await;
            emit(engine, "long", &json!("x".repeat(4_000))).await;
            assert_eq!(delivered(engine).await.delivered, 22);
        })
        .await;
        assert_eq!(made(&net.counts), 1, "{client:?}");
        assert_eq!(stored(&stream).await.len(), all);
    }
}

#[tokio::test]
async fn who_is_not_the_server_gets_nothing() {
    if !is_there() {
        return;
    }
    let (authority, other) = (Authority::new(), Authority::new());
    let localhost = || leaf_for("localhost");
    for (identity, failure) in [
        (authority.issue(Kind::P256, leaf_for("other.test")), TlsFailure::WrongName),
        (authority.issue(Kind::P256, expired(localhost())), TlsFailure::Expired),
        (other.issue(Kind::P256, localhost()), TlsFailure::CertificateSignature),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path(), &identity);
        let to = url("tls", server.port());
        for client in CLIENTS {
            let sent = send(&mut secure(client, net(), &authority), &to).await;
            assert_eq!(sent, Err(Error::Tls(failure)), "{client:?}");
        }
        let sent = send(&mut node_over(net(), NatsLogin::None), &to).await;
        assert_eq!(sent, Err(Error::NoTls));
    }
}

/// The server knows the node by the name in its certificate.
#[tokio::test]
async fn a_node_logs_in_by_its_certificate() {
    if !is_there() {
        return;
    }
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let identity = authority.issue(Kind::P256, leaf_for("localhost"));
    let tls = NatsServer::tls_first(folder.path(), &identity).unwrap();
    let verify = format!(", verify_and_map: true, ca_file: \"{}\" }}", ca.display());
    let users = "authorization { users: [ { user: node.test } ] }";
    let config = tls.replace(" }", &verify) + users;
    let server = NatsServer::start(folder.path(), &config).unwrap();
    let to = url("tls", server.port());
    for (name, expected) in [
        // The login is good: there is no stream.
        ("node.test", Ok(503)),
        ("other.test", Err(Error::Nats(NatsFault::Credentials))),
    ] {
        let own = authority.issue(Kind::P256, for_clients(leaf_for(name)));
        let chain: &'static [u8] = own.chain[0].clone().leak();
        let secret = SecretKey::from_pkcs8_der(&own.key).unwrap().to_bytes().into();
        let identity = ClientIdentity::new(leak([chain]), &secret).unwrap();
        let mut node =
            node_over(net(), NatsLogin::None).with_tls(rustls(&authority).with_identity(identity));
        assert_eq!(send(&mut node, &to).await, expected, "{name}");
    }
    let sent = send(&mut secure(Client::Rustls, net(), &authority), &to).await;
    assert!(sent.is_err(), "{sent:?}");
}

#[tokio::test]
async fn a_server_that_speaks_first_in_the_clear_gets_nothing() {
    if !NatsServer::is_installed() {
        return;
    }
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let server = NatsServer::start(folder.path(), "").unwrap();
    let to = url("tls", server.port());
    for client in CLIENTS {
        let sent = send(&mut secure(client, net(), &authority), &to).await;
        assert!(matches!(sent, Err(Error::Tls(_))), "{client:?}: {sent:?}");
    }
}

#[tokio::test]
async fn nothing_is_lost_or_stored_twice_when_the_server_is_killed() {
    if !is_there() {
        return;
    }
    for client in CLIENTS {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let mut server = start(folder.path(), &authority.issue(Kind::P256, leaf_for("localhost")));
        let context = admin(folder.path(), &server, &authority).await;
        context.create_stream(events()).await.unwrap();
        let node = secure(client, net(), &authority);
        running(node, url("tls", server.port()), config(), async |engine| {
            for n in 1..=300_u64 {
                emit(engine, "conn.established", &json!({ "n": n })).await;
                if n % 100 == 0 {
                    while engine.stats().delivered < n / 2 {
                        tokio::task::yield_now().await;
                    }
                    server.restart().unwrap();
                }
            }
            let stats = delivered(engine).await;
            assert_eq!((stats.delivered, stats.exhausted), (300, 0), "{client:?}");
        })
        .await;
        // The old connection may still be on its way back.
        let context = admin(folder.path(), &server, &authority).await;
        let messages = stored(&context.get_stream("EVENTS").await.unwrap()).await;
        let numbers = messages.iter().map(|message| {
            let body: Value = serde_json::from_slice(&message.payload).unwrap();
            body["data"]["n"].as_u64().unwrap()
        });
        assert_eq!(messages.len(), 300, "{client:?}: the server knows a message by its id");
        assert_eq!(numbers.collect::<HashSet<_>>().len(), 300, "{client:?}");
    }
}
