//! `wrk`: as fast as one thread and some connections can ask.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use pilot_webhook_benches::Result;
use pilot_webhook_benches::events::{BODY, envelope};

/// The script that makes it post, in a folder of its own.
pub(crate) struct Wrk {
    directory: TempDir,
}

impl Wrk {
    pub(crate) fn new() -> Result<Self> {
        let directory = TempDir::new()?;
        let body = serde_json::to_string(&envelope(123_456))?;
        if body.len() != BODY {
            return Err(format!("the body has {} bytes", body.len()).into());
        }
        let script = format!(
            "wrk.method = 'POST'\n\
             wrk.headers['Content-Type'] = 'application/json'\n\
             wrk.body = '{body}'\n"
        );
        fs::write(directory.path().join("post.lua"), script)?;
        Ok(Self { directory })
    }

    /// Requests per second in one second.
    pub(crate) fn rate(&self, url: &str, connections: usize) -> Result<f64> {
        let output = Command::new("wrk")
            .args(["-t1", "-d1s", &format!("-c{connections}"), "-s"])
            .arg(self.directory.path().join("post.lua"))
            .arg(url)
            .output()
            .map_err(|error| format!("wrk cannot be started: {error}; apt-get install wrk"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains("Non-2xx") || text.contains("Socket errors") {
            return Err(format!("wrk met errors: {text}").into());
        }
        let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
        Ok(rate.ok_or_else(|| format!("wrk said: {text}"))?.trim().parse()?)
    }
}
