//! What receives a node's events, and what must be true of all that it receives.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use pilot_webhook_tests::pki::{self, Authority, Kind, leaf_for};
use pilot_webhook_tests::{Act, Script, Seen, Server};
use rustls::ServerConfig;
use serde_json::Value;
use sha2::Sha256;
use tempfile::NamedTempFile;

use crate::node::{HOST, SECRET};

/// Reads a request and answers with this status, so many times.
pub(crate) fn answers(status: u16, count: usize) -> Script {
    let answer = format!("HTTP/1.1 {status} So\r\nContent-Length: 2\r\n\r\nok");
    (0..count).flat_map(|_| [Act::Read, Act::Send(answer.clone().into())]).collect()
}

/// The URL of a server of this host, as the node sees it.
pub(crate) fn url(scheme: &str, server: &Server) -> String {
    url_of(scheme, HOST, server.address().port())
}

pub(crate) fn url_of(scheme: &str, host: &str, port: u16) -> String {
    format!("url={scheme}://{host}:{port}/hook?key=1")
}

/// The only authority that the nodes trust.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(Authority::new)
}

/// A good server's configuration.
pub(crate) fn tls() -> Arc<ServerConfig> {
    tls_for(HOST)
}

pub(crate) fn tls_for(name: &str) -> Arc<ServerConfig> {
    Arc::new(pki::rustls(&authority().issue(Kind::P256, leaf_for(name))))
}

/// A trusted certificate in a file, which is gone when this is.
pub(crate) struct CaFile(NamedTempFile);

impl CaFile {
    /// The authority's.
    pub(crate) fn new() -> Self {
        Self::of(authority().root())
    }

    pub(crate) fn of(root: &[u8]) -> Self {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(root).unwrap();
        Self(file)
    }

    pub(crate) fn argument(&self) -> String {
        format!("ca={}", self.0.path().display())
    }
}

/// The ids of the events that arrived, in order, after a check of each request.
#[track_caller]
pub(crate) fn ids(server: &Server) -> Vec<u64> {
    server.requests().iter().map(check).collect()
}

/// These events arrived, each once and in order.
#[track_caller]
pub(crate) fn expect_ids(server: &Server, expected: impl IntoIterator<Item = u64>) {
    assert_eq!(ids(server), Vec::from_iter(expected));
}

/// Checks the signature over the body's bytes, and that the body is an event of this node and of
/// today. Returns its id.
#[track_caller]
fn check(seen: &Seen) -> u64 {
    let signature = seen.header("X-Pilot-Signature-256").expect("a signature");
    assert_eq!(signature, sign(&seen.body), "{}", seen.head);
    assert_eq!(seen.header("Content-Type"), Some("application/json"));
    let event: Value = serde_json::from_slice(&seen.body).expect("JSON");
    assert_eq!(event["node_id"], 1, "{event}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let stamp = event["timestamp"].as_str().expect("a timestamp");
    // Years have 365.2425 days. Around New Year's Eve either year is right.
    let years = [now - 86_400, now + 86_400].map(|now| 1970 + now * 10_000 / 365_2425 / 86_400);
    assert!(years.iter().any(|year| stamp.starts_with(&format!("{year}-"))), "{event}");
    assert!(captured().contains(&content(&event["event"], &event["data"])), "{event}");
    event["event_id"].as_u64().expect("an id")
}

fn sign(body: &[u8]) -> String {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the captured events tell. The node emits some of them.
fn captured() -> &'static BTreeSet<String> {
    static CONTENTS: OnceLock<BTreeSet<String>> = OnceLock::new();
    CONTENTS.get_or_init(|| {
        let read = |line: &str| {
            let event: Value = serde_json::from_str(line).unwrap();
            content(&event["topic"], &event["data"])
        };
        include_str!("../../data/pilot-events.jsonl").lines().map(read).collect()
    })
}

/// Equal for equal events, however their keys are ordered. No data is `null`.
fn content(topic: &Value, data: &Value) -> String {
    format!("{topic} {data}")
}
