//! A node's events into a stream of a real nats-server, through good days and bad ones.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy};
use pilot_webhook_core::{Config, Transport as _};
use pilot_webhook_embassy::{Error, NatsFault, NatsLogin, Policy};
use pilot_webhook_tests::nal::TokioNet;
use pilot_webhook_tests::{NatsServer, Url};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::streams::node::{
    config, delivered, emit, made, node, node_over, of, running, send, url,
};
use crate::streams::{events, expect_each_once, expect_numbered, jetstream, server, stored};

#[tokio::test]
async fn an_event_is_delivered_when_the_server_has_stored_it() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, context) = server(folder.path(), "").await;
    let stream = context.create_stream(events()).await.unwrap();
    let net = TokioNet::default();
    let counts = net.counts.clone();
    let config = Config { batch: 8, ..config() };
    running(node_over(net, NatsLogin::None), of(&server), config, async |engine| {
        for n in 1..=20 {
            emit(engine, "conn.established", &json!({ "n": n })).await;
        }
        emit(engine, "odd topic.*", &json!(null)).await;
        // Longer than the transport's buffer.
        emit(engine, "long", &json!("x".repeat(2_000))).await;
        let stats = delivered(engine).await;
        assert_eq!((stats.delivered, stats.last_status), (22, 200));
    })
    .await;
    assert_eq!(made(&counts), 1, "the connection is kept");

    let messages = stored(&stream).await;
    assert_eq!(messages.len(), 22);
    expect_numbered(&messages, 20);
    let kind = |message: &StreamMessage| message.headers.get("Content-Type").unwrap().to_string();
    assert!(messages.iter().all(|message| kind(message) == "application/json"));
    assert_eq!(messages[20].subject.as_str(), "pilot.7.odd%20topic.%2A");
    let long: Value = serde_json::from_slice(&messages[21].payload).unwrap();
    assert_eq!(long[0]["data"], json!("x".repeat(2_000)));
}

#[tokio::test]
async fn nothing_is_lost_or_stored_twice_when_the_server_is_killed() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut server, context) = server(folder.path(), "").await;
    context.create_stream(events()).await.unwrap();
    let (to, client) = (of(&server), node(NatsLogin::None));
    running(client, to, config(), async |engine| {
        for n in 1..=900_u64 {
            emit(engine, "conn.established", &json!({ "n": n })).await;
            if n % 300 == 0 {
                while engine.stats().delivered < n / 2 {
                    tokio::task::yield_now().await;
                }
                server.restart().unwrap();
            }
        }
        let stats = delivered(engine).await;
        assert_eq!((stats.delivered, stats.exhausted), (900, 0));
    })
    .await;
    expect_each_once(&server, 900).await;
}

#[tokio::test]
async fn events_wait_for_a_stream_and_for_room_in_it() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, context) = server(folder.path(), "max_payload: 4096").await;
    running(node(NatsLogin::None), of(&server), config(), async |engine| {
        let status = async |code| {
            while engine.stats().last_status != code {
                tokio::task::yield_now().await;
            }
        };
        emit(engine, "a", &json!(1)).await;
        status(503).await;
        let full = StreamConfig {
            max_messages: 2,
            max_message_size: 2_000,
            discard: DiscardPolicy::New,
            ..events()
        };
        let stream = context.create_stream(full).await.unwrap();
        delivered(engine).await;
        // Too long for the stream, and for the server, which ends the connection.
        emit(engine, "b", &json!("x".repeat(3_000))).await;
        emit(engine, "b", &json!("x".repeat(3_900))).await;
        let stats = delivered(engine).await;
        assert_eq!((stats.delivered, stats.rejected, stats.last_status), (1, 2, 413));
        emit(engine, "c", &json!(2)).await;
        delivered(engine).await;
        emit(engine, "c", &json!(3)).await;
        status(10_077).await;
        stream.purge().await.unwrap();
        assert_eq!(delivered(engine).await.delivered, 3);
    })
    .await;
}

/// Whichever poll is the last, the next publication works, with a connection that was kept or not.
#[tokio::test]
async fn every_poll_may_be_the_last() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, context) = server(folder.path(), "").await;
    context.create_stream(events()).await.unwrap();
    let (to, net) = (of(&server), TokioNet::default());
    let counts = net.counts.clone();
    let mut node = node_over(net, NatsLogin::None);
    for polls in 0..30 {
        if polls % 2 == 0 {
            assert_eq!(send(&mut node, &to).await, Ok(200), "before {polls}");
        }
        {
            let mut left = polls / 2;
            let mut sending = std::pin::pin!(send(&mut node, &to));
            std::future::poll_fn(|cx| {
                if left == 0 || sending.as_mut().poll(cx).is_ready() {
                    return std::task::Poll::Ready(());
                }
                left -= 1;
                std::task::Poll::Pending
            })
            .await;
        }
        assert_eq!(send(&mut node, &to).await, Ok(200), "after {polls}");
        assert_eq!(counts.open.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn what_the_server_does_not_permit_is_said() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let users = "authorization { users: [ { user: me, password: \"p\\\"w\" }, \
                 { user: mute, password: pw, permissions: { publish: { deny: \">\" } } } ] }";
    let server = NatsServer::start(folder.path(), users).unwrap();
    let user = |name, password| NatsLogin::User { name, password };
    let admin = ConnectOptions::with_user_and_password("me".into(), "p\"w".into());
    let admin = jetstream(admin.connect(server.url()).await.unwrap());
    admin.create_stream(events()).await.unwrap();
    for (login, expected) in [
        (NatsLogin::None, Err(Error::Nats(NatsFault::Credentials))),
        (user("me", "no"), Err(Error::Nats(NatsFault::Credentials))),
        (NatsLogin::Token("no"), Err(Error::Nats(NatsFault::Credentials))),
        (user("mute", "pw"), Err(Error::Nats(NatsFault::Permission))),
        (user("me", "p\"w"), Ok(200)),
    ] {
        assert_eq!(send(&mut node(login), &of(&server)).await, expected, "{login:?}");
    }
}

#[tokio::test]
async fn a_node_may_sleep() {
    if !NatsServer::is_installed() {
        return;
    }
    // A server that asks often and is patient, and one that is not: it closes the connection meanwhile.
    tokio::join!(sleep_over("ping_max: 1000", 1), sleep_over("ping_max: 1", 2));
}

/// Two events with a sleep between them take so many connections, and an attempt each.
async fn sleep_over(extra: &str, connections: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (server, context) =
        server(folder.path(), &format!("ping_interval: \"50ms\"\n{extra}")).await;
    context.create_stream(events()).await.unwrap();
    let net = TokioNet::default();
    let counts = net.counts.clone();
    let mut node = node_over(net, NatsLogin::None);
    assert_eq!(send(&mut node, &of(&server)).await, Ok(200));
    // The server first asks after 2 s, and closes a moment later when it has no answer.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(send(&mut node, &of(&server)).await, Ok(200));
    assert_eq!(made(&counts), connections, "{extra}");
}

/// What a server says to each connection before it closes it, and what comes of it.
#[tokio::test]
async fn a_hostile_server_does_nothing_but_fail_the_attempt() {
    let info = b"INFO {}\r\n".to_vec();
    let long = [b"INFO ".to_vec(), vec![b'x'; 100_000]].concat();
    for (said, expected) in [
        (vec![], Error::Closed),
        (b"INFO {".to_vec(), Error::Closed),
        (info.clone(), Error::Closed),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), Error::Nats(NatsFault::Malformed)),
        (long, Error::Nats(NatsFault::TooLong)),
        ([&info[..], b"MSG a.1 1 999999\r\n"].concat(), Error::Nats(NatsFault::TooLong)),
        ([&info[..], b"MSG a.2 1 1\r\n{\r\n"].concat(), Error::Nats(NatsFault::Malformed)),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = url("nats", listener.local_addr().unwrap().port());
        let mut client = node(NatsLogin::None);
        let serve = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.write_all(&said).await;
            let _ = socket.shutdown().await;
            let _ = socket.read_to_end(&mut Vec::new()).await;
        };
        let (sent, ()) = tokio::join!(send(&mut client, &to), serve);
        assert_eq!(sent, Err(expected), "{}", said.escape_ascii());
    }
    let http = Url::parse("http://127.0.0.1:1/hook", Policy::default()).unwrap();
    assert_eq!(send(&mut node(NatsLogin::None), &http).await, Err(Error::Scheme));
}

/// A server that closes the connection before it has read the message, and says why: that is what counts.
#[tokio::test]
async fn what_the_server_said_last_counts_although_the_message_was_cut_short() {
    for (said, expected) in [
        ("-ERR 'Authorization Violation'\r\n", Err(Error::Nats(NatsFault::Credentials))),
        ("-ERR 'Maximum Payload Violation'\r\n", Ok(413)),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = url("nats", listener.local_addr().unwrap().port());
        let serve = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(b"INFO {}\r\n").await.unwrap();
            // With a rest that nobody reads, the connection is reset.
            socket.read_exact(&mut [0; 100]).await.unwrap();
            socket.write_all(said.as_bytes()).await.unwrap();
        };
        let body = vec![b'x'; 16 * 1_024 * 1_024];
        let message = pilot_webhook_core::Message::new(&[], &body);
        let mut node = node(NatsLogin::None);
        let (sent, ()) = tokio::join!(node.send(&to, &message), serve);
        assert_eq!(sent.map(|reply| reply.code), expected, "{said}");
    }
}
