//! Logins by keys to a real nats-server: users that it knows by their keys, and users of an operator's account, by
//! JWTs. From a node, and by std.

use std::path::Path;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Stream;
use nkeys::KeyPair;
use pilot_webhook_core::{BreakerState, Config};
use pilot_webhook_embassy::{Error, NatsCredentials, NatsFault, NatsLogin, NatsSeed};
use pilot_webhook_std::{
    ClientBuilder, NatsConfig, NatsShared, NatsTarget, NatsTransport, OnOpen, Policy,
};
use pilot_webhook_tests::nal::TokioNet;
use pilot_webhook_tests::{NatsOperator, NatsServer, NatsUser};
use serde_json::json;

use crate::streams::node::{
    config, delivered, emit, leak, made, node, node_over, of, running, send,
};
use crate::streams::{PREFIX, events, jetstream, stored};

const HOUR: Duration = Duration::from_secs(3_600);

/// The login by a user's key.
fn by_key(key: &KeyPair) -> NatsLogin<'static> {
    NatsLogin::NKey(leak(NatsSeed::parse(&key.seed().unwrap()).unwrap()))
}

/// The login with a `.creds` file.
fn by_jwt(file: String) -> NatsLogin<'static> {
    NatsLogin::Jwt(leak(NatsCredentials::parse(file.leak()).unwrap()))
}

/// A server that knows these users by their keys. The second one may do what a node does and no more, and the third
/// one may publish nothing.
fn knowing(folder: &Path, users: [&KeyPair; 3]) -> NatsServer {
    let [user, node, mute] = users.map(KeyPair::public_key);
    let users = format!(
        "authorization {{ users: [ {{ nkey: {user} }}, \
         {{ nkey: {node}, permissions: {{ publish: \"{PREFIX}.7.>\", subscribe: \"_INBOX.>\" }} }}, \
         {{ nkey: {mute}, permissions: {{ publish: {{ deny: \">\" }} }} }} ] }}"
    );
    NatsServer::start(folder, &users).unwrap()
}

async fn admin(server: &NatsServer, options: ConnectOptions) -> Context {
    jetstream(options.connect(server.url()).await.unwrap())
}

/// A server that knows an operator's account, and a stream there.
async fn of_operator(
    folder: &Path,
    operator: &NatsOperator,
    revoked: &[&NatsUser],
) -> (NatsServer, Stream) {
    let server = NatsServer::start(folder, &operator.config(revoked)).unwrap();
    let options = ConnectOptions::with_credentials(&operator.user(HOUR).credentials()).unwrap();
    let stream = admin(&server, options).await.create_stream(events()).await.unwrap();
    (server, stream)
}

/// Twenty events over one connection.
async fn deliver_all(server: &NatsServer, login: NatsLogin<'static>, stream: &Stream) {
    let net = TokioNet::default();
    let counts = net.counts.clone();
    running(node_over(net, login), of(server), config(), async |engine| {
        for n in 1..=20 {
            emit(engine, "conn.established", &json!({ "n": n })).await;
        }
        assert_eq!(delivered(engine).await.delivered, 20);
    })
    .await;
    assert_eq!(made(&counts), 1, "the connection is kept");
    assert_eq!(stored(stream).await.len(), 20);
}

#[tokio::test]
async fn a_node_logs_in_by_a_key() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [user, own, mute] = std::array::from_fn(|_| KeyPair::new_user());
    let server = knowing(folder.path(), [&user, &own, &mute]);
    let admin = admin(&server, ConnectOptions::with_nkey(user.seed().unwrap())).await;
    let stream = admin.create_stream(events()).await.unwrap();
    deliver_all(&server, by_key(&own), &stream).await;

    let stranger = NatsOperator::new().user(HOUR).credentials();
    for (login, fault) in [
        (NatsLogin::None, NatsFault::Credentials),
        (by_key(&KeyPair::new_user()), NatsFault::Credentials),
        (by_jwt(stranger), NatsFault::Credentials),
        // The message that is sent here is another node's.
        (by_key(&own), NatsFault::Permission),
        (by_key(&mute), NatsFault::Permission),
    ] {
        assert_eq!(
            send(&mut node(login), &of(&server)).await,
            Err(Error::Nats(fault)),
            "{login:?}"
        );
    }
}

#[tokio::test]
async fn a_server_without_keys_is_told_none() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start(folder.path(), "").unwrap();
    for login in
        [by_key(&KeyPair::new_user()), by_jwt(NatsOperator::new().user(HOUR).credentials())]
    {
        let sent = send(&mut node(login), &of(&server)).await;
        assert_eq!(sent, Err(Error::Nats(NatsFault::NoNonce)), "{login:?}");
    }
}

#[tokio::test]
async fn a_node_logs_in_by_a_jwt() {
    if !NatsServer::is_installed() {
        return;
    }
    let (folder, operator) = (tempfile::tempdir().unwrap(), NatsOperator::new());
    let (user, revoked) = (operator.user(HOUR), operator.user(HOUR));
    let (server, stream) = of_operator(folder.path(), &operator, &[&revoked]).await;
    // The JWT alone is almost as long as the transport's buffer.
    let file = user.credentials();
    deliver_all(&server, by_jwt(file.clone()), &stream).await;

    for (what, login) in [
        ("none", NatsLogin::None),
        ("another's key", by_jwt(user.credentials_with_key(&revoked))),
        ("another operator's", by_jwt(NatsOperator::new().user(HOUR).credentials())),
        ("expired", by_jwt(operator.expired_user().credentials())),
        ("revoked", by_jwt(revoked.credentials())),
    ] {
        let sent = send(&mut node(login), &of(&server)).await;
        assert_eq!(sent, Err(Error::Nats(NatsFault::Credentials)), "{what}");
    }
}

/// The server ends the connection of a user whose time is over, and the node's next attempt says why.
#[tokio::test]
async fn a_user_may_expire_while_the_node_is_connected() {
    if !NatsServer::is_installed() {
        return;
    }
    let (folder, operator) = (tempfile::tempdir().unwrap(), NatsOperator::new());
    let (server, _stream) = of_operator(folder.path(), &operator, &[]).await;
    let user = operator.user(Duration::from_secs(3));
    let mut node = node(by_jwt(user.credentials()));
    let mut answers = Vec::new();
    loop {
        let answer = send(&mut node, &of(&server)).await;
        let is_over = answer.is_err();
        answers.push(answer);
        if is_over {
            break;
        }
    }
    assert_eq!(answers.pop(), Some(Err(Error::Nats(NatsFault::Credentials))));
    assert_eq!(answers.first(), Some(&Ok(200)));
}

/// A login that is refused opens the breaker, as a receiver that is down does: events wait, and the server is left
/// in peace.
#[tokio::test]
async fn a_wrong_key_is_not_tried_without_end() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [user, own, mute] = std::array::from_fn(|_| KeyPair::new_user());
    let server = knowing(folder.path(), [&user, &own, &mute]);
    let net = TokioNet::default();
    let counts = net.counts.clone();
    let node = node_over(net, by_key(&KeyPair::new_user()));
    let config = Config { circuit_cooldown: HOUR, ..config() };
    let stats = running(node, of(&server), config, async |engine| {
        for n in 1..=20 {
            emit(engine, "conn.established", &json!({ "n": n })).await;
        }
        while engine.stats().breaker != BreakerState::Open {
            tokio::task::yield_now().await;
        }
        engine.stats()
    })
    .await;
    assert_eq!(stats.queued + stats.in_flight, 20, "all of them wait");
    assert_eq!(made(&counts) as u64, stats.attempts, "an attempt is one connection");
    assert!(stats.attempts <= 20, "{stats:?}");
}

/// One event by std.
async fn deliver_by_std(server: &NatsServer, shared: NatsShared) -> u64 {
    let target = NatsTarget::parse(&format!("{}/{PREFIX}", server.url()), Policy::default());
    let make = move || NatsTransport::new(&shared);
    let client = ClientBuilder::with_transport(make, Some(target.unwrap()))
        .retry_backoff(Duration::from_millis(1))
        .on_open(OnOpen::Skip)
        .build()
        .unwrap();
    client.emit("conn.established", &1).unwrap();
    tokio::time::timeout(Duration::from_secs(60), client.drained()).await.unwrap();
    client.stats().delivered
}

#[tokio::test(flavor = "multi_thread")]
async fn std_logs_in_by_a_key() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [user, own, mute] = std::array::from_fn(|_| KeyPair::new_user());
    let server = knowing(folder.path(), [&user, &own, &mute]);
    let admin = admin(&server, ConnectOptions::with_nkey(user.seed().unwrap())).await;
    let _stream = admin.create_stream(events()).await.unwrap();
    let file = folder.path().join("user.nk");
    for (key, delivered) in [(user, 1), (KeyPair::new_user(), 0)] {
        std::fs::write(&file, key.seed().unwrap() + "\n").unwrap();
        let shared = NatsConfig::new().nkey_file(&file).build().unwrap();
        assert_eq!(deliver_by_std(&server, shared).await, delivered);
    }
    let seed = KeyPair::new_account().seed().unwrap();
    std::fs::write(&file, &seed).unwrap();
    let error = NatsConfig::new().nkey_file(&file).build().unwrap_err().to_string();
    assert!(error.ends_with("not the seed of a user, which begins with SU"), "{error}");
    assert!(!error.contains(&seed));
}

#[tokio::test(flavor = "multi_thread")]
async fn std_logs_in_by_a_jwt() {
    if !NatsServer::is_installed() {
        return;
    }
    let (folder, operator) = (tempfile::tempdir().unwrap(), NatsOperator::new());
    let (server, _stream) = of_operator(folder.path(), &operator, &[]).await;
    let file = folder.path().join("user.creds");
    let users = [(operator.user(HOUR), 1), (operator.expired_user(), 0)];
    for (user, delivered) in users {
        std::fs::write(&file, user.credentials()).unwrap();
        let shared = NatsConfig::new().credentials_file(&file).build().unwrap();
        assert_eq!(deliver_by_std(&server, shared).await, delivered);
    }
}
