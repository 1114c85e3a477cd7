//! Panics of the delivery, as the bus is told of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use pilot_webhook_std::{
    Client, Deps, EventBus, LocalBus, PANIC_TOPIC, Payload, Service, UNHEALTHY_TOPIC,
    WebhookService,
};

use super::{Bench, options};
use crate::support::Receivers;

#[tokio::test]
async fn a_panic_in_a_hook_is_caught_counted_published_and_loses_and_repeats_nothing() {
    let receivers = Receivers::start(1).await;
    let armed = Arc::new(AtomicBool::new(true));
    let trigger = Arc::clone(&armed);
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let client = Client::builder("")
        .on_notice(move |_| assert!(!trigger.swap(false, Relaxed), "expected"))
        .on_notice(move |_| _ = count.fetch_add(1, Relaxed));
    let home = tempfile::tempdir().unwrap();
    let options = options(client, &home);
    let service = WebhookService::new(&receivers.url(0), options).unwrap();
    let bus: Arc<LocalBus> = Arc::default();
    let mut panics = bus.subscribe(PANIC_TOPIC);
    let deps = Deps { events: Some(Arc::clone(&bus) as _), identity: None };
    service.start(&deps).await.unwrap();
    bus.publish("a", Payload::none());
    let expected = r#"{"plugin":"webhook","plugin_panics":1,"recovered_total":1}"#;
    assert_eq!(panics.next().await.unwrap().payload.as_str(), expected);
    bus.publish("b", Payload::none());
    receivers.wait_for(3).await;
    service.client().unwrap().drained().await;
    let events = receivers.events();
    let mut topics: Vec<_> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    topics.sort_unstable();
    assert_eq!(topics, ["a", "b", PANIC_TOPIC]);
    assert_eq!(service.client().unwrap().panics(), 1);
    assert_eq!(service.stats().delivered, 3);
    // The other hook was told of three attempts and three ends.
    assert_eq!(told.load(Relaxed), 6);
}

/// As pilot's supervisor is told.
#[tokio::test]
async fn the_third_panic_is_said_to_make_the_plugin_unhealthy_and_that_once() {
    let receivers = Receivers::start(1).await;
    let armed = Arc::new(AtomicBool::new(false));
    let trigger = Arc::clone(&armed);
    let client =
        Client::builder("").on_notice(move |_| assert!(!trigger.swap(false, Relaxed), "expected"));
    let home = tempfile::tempdir().unwrap();
    let service = WebhookService::new(&receivers.url(0), options(client, &home)).unwrap();
    let bench = Bench { service, bus: Arc::default(), home };
    bench.service.start(&bench.deps()).await.unwrap();
    let mut told = bench.bus.subscribe("plugin.webhook.*");
    for count in 1..=5 {
        armed.store(true, Relaxed);
        bench.bus.publish("a", Payload::none());
        let expected =
            format!(r#"{{"plugin":"webhook","plugin_panics":{count},"recovered_total":{count}}}"#);
        let topics = [PANIC_TOPIC, UNHEALTHY_TOPIC];
        for topic in &topics[..if count == 3 { 2 } else { 1 }] {
            let event = told.next().await.unwrap();
            assert_eq!((&*event.topic, event.payload.as_str()), (*topic, &*expected));
        }
        bench.service.drained().await;
    }
}
