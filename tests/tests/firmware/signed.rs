//! Signatures of Standard Webhooks, as the standard's own library sees them.

use http::{HeaderMap, HeaderName};
use pilot_webhook_embassy::SntpError;
use pilot_webhook_tests::time_server::TimeServer;
use pilot_webhook_tests::{Seen, Server};
use standardwebhooks::Webhook;

use crate::node::{HOST, Image, Node};
use crate::receiver::{answers, expect_ids, url};

const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TWO: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NONE: &str = "whsec_EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8=";

fn is_signed(seen: &Seen, key: &str, body: &[u8]) -> bool {
    let mut headers = HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let value = seen.header(name).unwrap_or_else(|| panic!("no {name}: {}", seen.head));
        headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    Webhook::new(key).unwrap().verify(body, &headers).is_ok()
}

#[track_caller]
fn expect_signed(seen: &Seen, keys: &[&str]) {
    for key in keys {
        assert!(is_signed(seen, key, &seen.body), "{}", seen.head);
        assert!(!is_signed(seen, key, &[&seen.body[..], b" "].concat()), "{}", seen.head);
    }
    assert!(!is_signed(seen, NONE, &seen.body));
    assert_eq!(seen.header("webhook-id"), seen.header("X-Pilot-Message-Id"));
}

#[tokio::test]
async fn a_node_signs_both_kinds_with_every_key() {
    if !Image::An386.is_there() {
        return;
    }
    let server = Server::start(vec![answers(200, 10)], None).await;
    let keys = format!("key={ONE},{TWO}");
    let words = [url("http", &server), "sign=standard-webhooks".into(), keys, "events=10".into()];
    let report = Node::start(Image::An386, &words).await.end().await;
    assert_eq!((report.count("delivered"), report.count("attempts")), (10, 10));
    // This looks at pilot's signature.
    expect_ids(&server, 1..=10);
    for seen in server.requests() {
        expect_signed(&seen, &[ONE, TWO]);
    }
}

/// A receiver would refuse what is signed with another time, and the events would be lost.
#[tokio::test]
async fn events_wait_until_the_time_in_their_signature_is_known() {
    if !Image::An386.is_there() {
        return;
    }
    let time = TimeServer::start();
    let server = Server::start(vec![answers(200, 6)], None).await;
    let ntp = format!("ntp={HOST}:{}", time.address().port());
    let mut words = vec![url("http", &server), ntp, format!("key={ONE}")];
    words.extend(["sign=standard-webhooks", "time=sntp", "events=6"].map(String::from));
    let mut node = Node::start(Image::An386, &words).await;
    node.line(&format!("time: {}", SntpError::Timeout)).await;
    assert!(server.requests().is_empty());
    time.speak();
    let report = node.end().await;
    assert_eq!((report.count("delivered"), report.count("attempts")), (6, 6));
    for seen in server.requests() {
        expect_signed(&seen, &[ONE]);
    }
}
