//! Receivers on loopback that record what they get, and one that never answers.

use std::sync::{Arc, Mutex};

use pilot_webhook_receiver::Receiver;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::sync::watch;

/// Some receivers with one record.
pub(crate) struct Receivers {
    urls: Vec<String>,
    record: Arc<Mutex<Vec<Value>>>,
    count: watch::Receiver<usize>,
}

impl Receivers {
    pub(crate) async fn start(number: usize) -> Self {
        let record: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (sender, count) = watch::channel(0);
        let mut urls = Vec::new();
        for _ in 0..number {
            let (record, sender) = (Arc::clone(&record), sender.clone());
            let receiver = Receiver::new(None, move |received| {
                let event = serde_json::from_slice(&received.body).unwrap();
                record.lock().unwrap().push(event);
                sender.send_modify(|count| *count += 1);
            });
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            urls.push(format!("http://{}/hook", listener.local_addr().unwrap()));
            tokio::spawn(receiver.serve(listener));
        }
        Self { urls, record, count }
    }

    pub(crate) fn url(&self, n: usize) -> String {
        self.urls[n].clone()
    }

    pub(crate) async fn wait_for(&self, events: usize) {
        self.count.clone().wait_for(|count| *count >= events).await.unwrap();
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.record.lock().unwrap().clone()
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.events().iter().map(|event| event["event_id"].as_u64().unwrap()).collect()
    }
}

/// Accepts, reads, and never answers.
pub(crate) struct Hole {
    pub(crate) url: String,
    reached: Arc<Notify>,
}

impl Hole {
    pub(crate) async fn wait_for_a_request(&self) {
        self.reached.notified().await;
    }
}

pub(crate) async fn black_hole() -> Hole {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let reached = Arc::new(Notify::new());
    let notify = Arc::clone(&reached);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let notify = Arc::clone(&notify);
            tokio::spawn(async move {
                use tokio::io::AsyncReadExt as _;
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {
                    notify.notify_one();
                }
            });
        }
    });
    Hole { url, reached }
}
