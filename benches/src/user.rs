//! A loop around reqwest, as a user would write it.

use std::fs;
use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, Client};
use tokio::runtime::Runtime;

use crate::server::Nginx;
use pilot_webhook_benches::Result;
use pilot_webhook_benches::events::envelope;

/// The user's program.
pub(crate) struct User {
    runtime: Runtime,
    client: Client,
}

impl User {
    pub(crate) fn new(nginx: &Nginx) -> Result<Self> {
        // Once a process; later it is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = Certificate::from_pem(&fs::read(nginx.certificate())?)?;
        let client = Client::builder().tls_certs_only([certificate]).build()?;
        // What `#[tokio::main]` makes.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Self { runtime, client })
    }

    /// Events per second in about `time`, one after the other.
    #[allow(clippy::cast_precision_loss, reason = "a count of some ten thousand")]
    pub(crate) fn rate(&self, url: &str, time: Duration) -> Result<f64> {
        self.runtime.block_on(async {
            let start = Instant::now();
            let mut sent = 0;
            while start.elapsed() < time {
                sent += 1;
                let body = serde_json::to_vec(&envelope(sent))?;
                let post = self.client.post(url).header(CONTENT_TYPE, "application/json");
                post.body(body).send().await?.error_for_status()?;
            }
            Ok(sent as f64 / start.elapsed().as_secs_f64())
        })
    }
}
