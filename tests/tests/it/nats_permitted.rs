//! Users of a real nats-server who may not do all that a publication takes.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::ConnectOptions;
use pilot_webhook_std::{
    BreakerState, Client, ClientBuilder, NatsConfig, NatsTarget, NatsTransport, Notice, OnOpen,
    Policy,
};
use pilot_webhook_tests::NatsServer;

use crate::streams::{PREFIX, events, jetstream, stored};

/// The password of all users.
const PASSWORD: &str = "pw";
/// Sooner than the library gives up an answer, which takes 5 s.
const SOON: Duration = Duration::from_secs(4);

/// A server with users: one may do all, one publishes nothing, one hears nothing, and one has no topics of another.
fn server(folder: &Path) -> NatsServer {
    let user = |name: &str, permissions: &str| {
        format!("{{ user: {name}, password: {PASSWORD}, permissions: {{ {permissions} }} }}")
    };
    let users = [
        user("all", "publish: \">\", subscribe: \">\""),
        user("mute", "publish: { deny: \">\" }"),
        user("deaf", "subscribe: { deny: \">\" }"),
        user("part", &format!("publish: {{ deny: \"{PREFIX}.7.secret.>\" }}")),
    ];
    NatsServer::start(folder, &format!("authorization {{ users: [ {} ] }}", users.join(", ")))
        .unwrap()
}

/// A client of this user, and why its attempts failed.
fn client(server: &NatsServer, user: &str) -> (Client<NatsTarget>, Arc<Mutex<Vec<String>>>) {
    let shared = NatsConfig::new().user_and_password(user, PASSWORD).build().unwrap();
    let target = NatsTarget::parse(&format!("{}/{PREFIX}", server.url()), Policy::default());
    let errors = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&errors);
    let make = move || NatsTransport::new(&shared);
    let client = ClientBuilder::with_transport(make, Some(target.unwrap()))
        .node_id(7)
        .http_timeout(Duration::from_secs(60))
        .retry_backoff(Duration::from_millis(1))
        .circuit_threshold(2)
        .circuit_cooldown(Duration::from_millis(20))
        .on_open(OnOpen::Hold)
        .on_notice(move |notice| {
            if let Notice::Attempt { result: Err(error), .. } = notice {
                seen.lock().unwrap().push(error.to_string());
            }
        })
        .build()
        .unwrap();
    (client, errors)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_publish_or_hear_is_told_at_once_and_events_wait() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    for (user, says) in [
        ("mute", "Permissions Violation for Publish to \"pilot.7.conn.fin\""),
        ("deaf", "Permissions Violation for Subscription to \"_INBOX."),
    ] {
        let (client, errors) = client(&server, user);
        let start = Instant::now();
        client.emit("conn.fin", &1).unwrap();
        while client.stats().breaker != BreakerState::Open {
            assert!(start.elapsed() < SOON, "{user}: {:?} {:?}", client.stats(), errors.lock());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(client.stats().exhausted, 0, "{user}: it is held");
        let errors = errors.lock().unwrap();
        assert!(errors.len() > 5);
        for error in errors.iter() {
            assert!(error.contains("permits this user no publication"), "{user}: {error}");
            assert!(error.contains(says), "{user}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_permitted_holds_up_nothing_that_is() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let all = ConnectOptions::with_user_and_password("all".into(), PASSWORD.into());
    let admin = jetstream(all.connect(server.url()).await.unwrap());
    let stream = admin.create_stream(events()).await.unwrap();
    let (client, errors) = client(&server, "part");
    client.emit("secret.key", &1).unwrap();
    for n in 0..20 {
        client.emit("conn.fin", &n).unwrap();
    }
    tokio::time::timeout(Duration::from_secs(60), client.drained()).await.unwrap();
    let stats = client.stats();
    assert_eq!((stats.delivered, stats.exhausted), (20, 1), "{:?}", errors.lock());
    assert_eq!(stored(&stream).await.len(), 20);
}
