//! What the outbox logs of its endpoints.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use pilot_webhook_std::Timestamp;
use pilot_webhook_std::outbox::{EndpointBounds, NewEvent, Outbox, OutboxOptions};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// The endpoints that lines are about.
#[derive(Clone, Default)]
struct Named(Arc<Mutex<Vec<String>>>);

impl Visit for Named {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "endpoint" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

impl<S: Subscriber> Layer<S> for Named {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

/// The lines of one are limited, and hide nothing of another.
#[tokio::test]
async fn each_endpoint_that_loses_events_is_named() {
    let _process = crate::process().await;
    let named = Named::default();
    // The outbox writes on a thread of its own.
    let subscriber = tracing_subscriber::registry().with(named.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let outbox =
        Outbox::open(directory.path().join("events.db"), OutboxOptions::default()).unwrap();
    let endpoints = ["a", "b", "c"].map(|name| outbox.endpoint(name).unwrap());
    let mut bounds = EndpointBounds::default();
    bounds.max_bytes = Some(0);
    endpoints.iter().for_each(|it| it.set_bounds(bounds));
    let ids = endpoints.each_ref().map(|it| it.id());
    let event = NewEvent::new("t", 1, Timestamp::new(0, 0)).for_endpoints(&ids);
    for _ in 0..3 {
        outbox.put(event).unwrap().await.unwrap();
    }
    outbox.close().await.unwrap();
    assert_eq!(*named.0.lock().unwrap(), ["a", "b", "c"]);
}
