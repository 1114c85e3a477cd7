//! Events into a stream of a real nats-server, through good days and bad ones.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use pilot_webhook_std::{
    BreakerState, Client, ClientBuilder, NatsConfig, NatsShared, NatsTarget, NatsTransport, Notice,
    OnOpen, Over, Policy,
};
use pilot_webhook_tests::NatsServer;
use serde_json::json;

use crate::streams::{
    PREFIX, events, expect_each_once, expect_numbered, jetstream, server, stored, tls,
};

fn shared() -> NatsShared {
    NatsConfig::new().build().unwrap()
}

/// Options of a client into `server`, whose waits are short.
fn builder(
    server: &NatsServer,
    shared: NatsShared,
) -> ClientBuilder<Over<impl Fn() -> NatsTransport + use<>, NatsTarget>> {
    let target = NatsTarget::parse(&format!("{}/{PREFIX}", server.url()), Policy::default());
    let target = Some(target.unwrap());
    ClientBuilder::with_transport(move || NatsTransport::new(&shared), target)
        .node_id(7)
        .retry_backoff(Duration::from_millis(20))
        .circuit_cooldown(Duration::from_millis(50))
        .on_open(OnOpen::Hold)
        .drain_timeout(Duration::from_secs(20))
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.unwrap()
}

fn emit(client: &Client<NatsTarget>, n: u64) {
    client.emit("conn.established", &json!({ "n": n })).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_delivered_when_the_server_has_stored_it() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, context) = server(folder.path(), "").await;
    let stream = context.create_stream(events()).await.unwrap();
    let client = builder(&server, shared()).secret(b"key").batch(8).build().unwrap();
    for n in 1..=20 {
        emit(&client, n);
    }
    client.emit("odd topic.*", &()).unwrap();
    within(client.drained()).await;
    let stats = client.stats();
    assert!(stats.is_balanced());
    assert_eq!((stats.delivered, stats.last_status), (21, 200));

    let messages = stored(&stream).await;
    assert_eq!(messages.len(), 21);
    expect_numbered(&messages, 20);
    let signature = |message: &StreamMessage| {
        message.headers.get("X-Pilot-Signature-256").unwrap().as_str().len()
    };
    assert!(messages.iter().all(|message| signature(message) == 64));
    assert_eq!(messages[20].subject.as_str(), "pilot.7.odd%20topic.%2A");
    client.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_over_urls_goes_from_one_kind_of_destination_to_another() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, context) = server(folder.path(), "").await;
    let stream = context.create_stream(events()).await.unwrap();
    // Nobody is there: the event waits.
    let client = Client::builder("http://127.0.0.1:9/hook")
        .retry_backoff(Duration::from_millis(5))
        .circuit_cooldown(Duration::from_secs(60))
        .on_open(OnOpen::Hold)
        .build()
        .unwrap();
    client.emit("conn.established", &1).unwrap();
    let url = format!("{}/{PREFIX}", server.url());
    client.set_url(&url).unwrap();
    assert_eq!(client.url(), Some(url));
    within(client.drained()).await;
    let messages = stored(&stream).await;
    assert_eq!(messages[0].subject.as_str(), "pilot.0.conn.established");
    let refused = client.set_url("nats://127.0.0.1/a.>").unwrap_err();
    assert!(refused.to_string().contains("the beginning of a subject"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stream_events_wait_for_one() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, context) = server(folder.path(), "").await;
    let client = builder(&server, shared()).build().unwrap();
    emit(&client, 1);
    within(async {
        while client.stats().breaker != BreakerState::Open {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(client.stats().last_status, 503);
    let stream = context.create_stream(events()).await.unwrap();
    within(client.drained()).await;
    assert_eq!(client.stats().delivered, 1);
    assert_eq!(stored(&stream).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_stored_twice_when_the_server_is_killed() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut server, context) = server(folder.path(), "").await;
    context.create_stream(events()).await.unwrap();
    let client = builder(&server, shared()).max_in_flight(8).build().unwrap();
    for n in 1..=900 {
        emit(&client, n);
        if n % 300 == 0 {
            while client.stats().delivered < n / 2 {
                tokio::task::yield_now().await;
            }
            server.restart().unwrap();
        }
    }
    within(client.drained()).await;
    let stats = client.stats();
    assert!(stats.is_balanced());
    assert_eq!((stats.delivered, stats.exhausted), (900, 0));
    expect_each_once(&server, 900).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_full_holds_events_back_and_one_that_is_too_long_is_refused() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, context) = server(folder.path(), "").await;
    let full = Config {
        max_messages: 2,
        max_message_size: 2_000,
        discard: DiscardPolicy::New,
        ..events()
    };
    let stream = context.create_stream(full).await.unwrap();
    let client = builder(&server, shared()).build().unwrap();
    client.emit("long", &"x".repeat(4_000)).unwrap();
    for n in 1..=3 {
        emit(&client, n);
    }
    within(async {
        while client.stats().breaker != BreakerState::Open {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let stats = client.stats();
    assert_eq!((stats.rejected, stats.delivered, stats.last_status), (1, 2, 10_077));
    stream.purge().await.unwrap();
    within(client.drained()).await;
    assert_eq!(client.stats().delivered, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_said_and_right_ones_work() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server =
        NatsServer::start(folder.path(), "authorization { user: me, password: pw }").unwrap();
    let heard = Arc::<Mutex<String>>::default();
    let hear = Arc::clone(&heard);
    let wrong = NatsConfig::new().user_and_password("me", "no").build().unwrap();
    let client = builder(&server, wrong)
        .on_notice(move |notice| {
            if let Notice::Attempt { result: Err(error), .. } = notice {
                *hear.lock().unwrap() = error.to_string();
            }
        })
        .build()
        .unwrap();
    emit(&client, 1);
    within(async {
        while heard.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(heard.lock().unwrap().contains("refuses the credentials"), "{heard:?}");

    let right = async_nats::ConnectOptions::with_user_and_password("me".into(), "pw".into());
    let admin = jetstream(right.connect(server.url()).await.unwrap());
    admin.create_stream(events()).await.unwrap();
    let right = NatsConfig::new().user_and_password("me", "pw").build().unwrap();
    let client = builder(&server, right).build().unwrap();
    emit(&client, 1);
    within(client.drained()).await;
    assert_eq!(client.stats().delivered, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_server_is_verified() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, own.cert.pem()).unwrap();
    let tls = tls(folder.path(), &own.cert.pem(), &own.signing_key.serialize_pem(), "");
    let server = NatsServer::start(folder.path(), &tls).unwrap();
    let admin = async_nats::ConnectOptions::new().add_root_certificates(ca.clone());
    let url = format!("tls://localhost:{}", server.port());
    let admin = jetstream(admin.connect(url.clone()).await.unwrap());
    admin.create_stream(events()).await.unwrap();
    let target = NatsTarget::parse(&format!("{url}/{PREFIX}"), Policy::default()).unwrap();
    for (config, delivered) in [(NatsConfig::new(), 0), (NatsConfig::new().ca_file(ca), 1)] {
        let shared = config.build().unwrap();
        let client = ClientBuilder::with_transport(
            move || NatsTransport::new(&shared),
            Some(target.clone()),
        )
        .retry_backoff(Duration::from_millis(1))
        .build()
        .unwrap();
        emit(&client, 1);
        within(client.drained()).await;
        assert_eq!(client.stats().delivered, delivered, "{:?}", client.stats());
    }
}
