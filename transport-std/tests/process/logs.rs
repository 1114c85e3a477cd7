//! What log lines are about, as fields.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pilot_webhook_std::{Client, EndpointOptions, Hub};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// The fields of an event, as text.
type Line = BTreeMap<&'static str, String>;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

struct Fields<'a>(&'a mut Line);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::new();
        event.record(&mut Fields(&mut line));
        self.0.lock().unwrap().push(line);
    }
}

/// The URL of a port at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/hook?key=hunter2", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_line_names_its_endpoint_its_event_and_what_comes_next_and_nothing_that_is_secret() {
    let _process = crate::process().await;
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let hub = Hub::new();
    let backoff = Duration::from_millis(20);
    for name in ["crm", "audit"] {
        let client = Client::builder(nobody()).retry_backoff(backoff);
        hub.add(name, EndpointOptions { client, ..<_>::default() }).unwrap();
    }
    hub.emit("conn.established", "hunter2").unwrap();
    hub.drained().await;
    let lines = lines.0.lock().unwrap();
    for name in ["crm", "audit"] {
        let own: Vec<_> = lines
            .iter()
            .filter(|line| line.get("endpoint") == Some(&format!("{name:?}")))
            .collect();
        let failed = own.iter().find(|line| line.contains_key("error")).unwrap();
        let fields = ["topic", "event", "attempt", "error"].map(|field| failed[field].as_str());
        assert_eq!(fields, ["conn.established", "1", "1", "\"connect\""], "{failed:?}");
        assert!(own.iter().any(|line| line.get("next_attempt_ms").is_some_and(|ms| ms == "20")));
        assert!(
            own.iter().any(|line| line.get("fate").is_some_and(|fate| fate == "\"exhausted\""))
        );
    }
    assert!(!format!("{lines:?}").contains("hunter2"), "{lines:?}");
}
