//! Our signatures of Standard Webhooks against the standard's own library, both ways: it verifies what we send, and
//! our verifier and it agree on everything else.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName};
use pilot_webhook_core::standard::{KeyError, Received, SigningKey, TOLERANCE, VerifyingKey};
use pilot_webhook_core::{
    ErrorKind, Message, Reply, SendTransport, Timestamp, Verdict, VerifyError,
};
use pilot_webhook_std::{Client, ClientBuilder, ClientError};
use pilot_webhook_tests::{Act, Script, Seen, Server};
use proptest::prelude::*;
use proptest::sample::Index;
use standardwebhooks::Webhook;

const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TWO: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NAMES: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn key(text: &str) -> SigningKey {
    SigningKey::parse(text).unwrap()
}

/// Whether the standard's library takes it.
fn by_the_library(key: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    Webhook::new(key).unwrap().verify(body, headers).is_ok()
}

/// Whether we take it.
fn by_ours(keys: &[&str], headers: &HeaderMap, body: &[u8]) -> Result<(), VerifyError> {
    let keys: Vec<_> = keys.iter().map(|key| VerifyingKey::parse(key).unwrap()).collect();
    let header = |name: &str| headers.get(name).map(|value| value.as_bytes());
    Received::new(header, body)?.verify(&keys, Timestamp::new(now(), 0), TOLERANCE)
}

fn headers(values: [&str; 3]) -> HeaderMap {
    let name = |name: &str| name.parse::<HeaderName>().unwrap();
    NAMES.into_iter().zip(values).map(|(n, value)| (name(n), value.parse().unwrap())).collect()
}

fn of(seen: &Seen) -> HeaderMap {
    headers(NAMES.map(|name| seen.header(name).unwrap()))
}

/// Answers with these statuses, one after the other.
fn answers(statuses: &[u16]) -> Vec<Script> {
    let answer = |status: &u16| {
        let answer =
            format!("HTTP/1.1 {status} So\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        vec![Act::Read, Act::Send(answer.into()), Act::Close]
    };
    statuses.iter().map(answer).collect()
}

#[tokio::test]
async fn the_library_verifies_what_comes_over_a_socket_and_nothing_else() {
    let server = Server::start(answers(&[204, 204, 204]), None).await;
    let url = format!("http://{}/hook", server.address());
    let client = Client::builder(url).secret(b"hush").signing_key(key(ONE)).build().unwrap();
    for (add, retire) in [(None, None), (Some(TWO), None), (None, Some(ONE))] {
        if let Some(added) = add {
            client.add_signing_key(key(added)).unwrap();
        }
        if let Some(retired) = retire {
            assert!(client.retire_signing_key(&key(retired)));
        }
        client.emit("a.b", &serde_json::json!({"text": "\u{e9}\u{1f980}<>&"})).unwrap();
        client.drained().await;
    }
    client.close().await;
    assert_eq!(client.stats().delivered, 3);

    for (seen, keys) in server.requests().iter().zip([&[ONE][..], &[ONE, TWO], &[TWO]]) {
        let headers = of(seen);
        assert_eq!(seen.header("webhook-id"), seen.header("X-Pilot-Message-Id"));
        assert_eq!(seen.header("X-Pilot-Signature-256").map(str::len), Some(64));
        for key in [ONE, TWO] {
            assert_eq!(by_the_library(key, &headers, &seen.body), keys.contains(&key));
            let expected = if keys.contains(&key) { Ok(()) } else { Err(VerifyError::Wrong) };
            assert_eq!(by_ours(&[key], &headers, &seen.body), expected);
        }
        let mut tampered = seen.body.clone();
        tampered[1] ^= 1;
        assert!(!by_the_library(keys[0], &headers, &tampered));
        assert_eq!(by_ours(keys, &headers, &tampered), Err(VerifyError::Wrong));
    }
}

#[tokio::test]
async fn a_fourth_key_is_refused_and_changes_nothing() {
    let keys = [ONE, TWO, &whsec(&[1; 24]), &whsec(&[2; 24])].map(key);
    let build = |keys: &[SigningKey]| {
        keys.iter().cloned().fold(Client::builder(""), ClientBuilder::signing_key).build()
    };
    assert!(matches!(build(&keys), Err(ClientError::Key(KeyError::TooMany))));
    let client = build(&keys[..3]).unwrap();
    assert_eq!(client.add_signing_key(keys[3].clone()), Err(KeyError::TooMany));
    assert_eq!(client.set_signing_keys(&keys), Err(KeyError::TooMany));
    assert!(client.retire_signing_key(&keys[0]));
    assert_eq!(client.add_signing_key(keys[3].clone()), Ok(()));
    client.close().await;
}

/// The id is that of the message, and the time that of the attempt.
#[tokio::test]
async fn every_attempt_is_signed_anew() {
    let server = Server::start(answers(&[503, 204]), None).await;
    let url = format!("http://{}/hook", server.address());
    let client = Client::builder(url)
        .signing_key(key(ONE))
        .retry_backoff(Duration::from_millis(1_100))
        .build()
        .unwrap();
    client.emit("a.b", &()).unwrap();
    client.drained().await;
    client.close().await;
    let requests = server.requests();
    let [first, second] = &requests[..] else { panic!("{requests:?}") };
    let [first, second] = [first, second].map(|seen| {
        assert!(by_the_library(ONE, &of(seen), &seen.body));
        let at: i64 = seen.header("webhook-timestamp").unwrap().parse().unwrap();
        (seen.header("webhook-id").unwrap().to_owned(), at)
    });
    assert_eq!(first.0, second.0);
    assert!(second.1 > first.1 && second.1.abs_diff(now()) < 100, "{} {}", first.1, second.1);
}

/// The headers of the standard, and the body.
struct Sent {
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Keeps what is sent.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Sent>>>);

impl SendTransport<()> for Kept {
    type Error = ErrorKind;

    async fn send(&mut self, (): &(), message: &Message<'_>) -> Result<Reply, ErrorKind> {
        let value =
            |name| message.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        let headers = headers(NAMES.map(|name| value(name).unwrap()));
        self.0.lock().unwrap().push(Sent { headers, body: message.body.to_vec() });
        Ok(Reply { verdict: Verdict::Accepted, code: 1 })
    }
}

fn whsec(bytes: &[u8]) -> String {
    use base64ct::{Base64, Encoding as _};
    format!("whsec_{}", Base64::encode_string(bytes))
}

fn secret() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<u8>(), 24..=64).prop_map(|bytes| whsec(&bytes))
}

/// What becomes of a message on its way.
#[derive(Clone, Debug)]
enum Change {
    Nothing,
    Body(Index),
    Header(Index, String),
    Missing(Index),
    /// One character of the signatures.
    Signature(Index, char),
    Before(String),
    Behind(String),
    OtherKey,
}

fn change() -> impl Strategy<Value = Change> {
    let words = || "[!-~]{0,8}( (v1|v1a|v2|V1|),[!-~]{0,50}){0,4}";
    prop_oneof![
        3 => Just(Change::Nothing),
        2 => any::<Index>().prop_map(Change::Body),
        2 => (any::<Index>(), "[!-*,./:-~][!-~]{0,20}").prop_map(|(at, to)| Change::Header(at, to)),
        1 => any::<Index>().prop_map(Change::Missing),
        3 => (any::<Index>(), prop::char::range('!', '~')).prop_map(|(at, to)| Change::Signature(at, to)),
        3 => words().prop_map(Change::Before),
        2 => words().prop_map(Change::Behind),
        1 => Just(Change::OtherKey),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Each of our signatures is the library's, over the same id, time and body.
    #[test]
    fn our_signatures_are_the_librarys(
        secrets in prop::collection::vec(secret(), 1..=3),
        node in any::<u32>(),
        texts in prop::collection::vec(".{0,40}", 1..=5),
        batch in 1..=3_u16,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let kept = Kept::default();
        runtime.block_on(async {
            let transport = kept.clone();
            let mut builder =
                ClientBuilder::with_transport(move || transport.clone(), Some(())).node_id(node).batch(batch);
            for secret in &secrets {
                builder = builder.signing_key(key(secret));
            }
            let client = builder.build().unwrap();
            for text in &texts {
                client.emit("a.b", text).unwrap();
            }
            client.drained().await;
            client.close().await;
        });
        let kept = kept.0.lock().unwrap();
        prop_assert!(!kept.is_empty());
        for Sent { headers, body } in kept.iter() {
            let value = |name: &str| headers[name].to_str().unwrap();
            let (id, at) = (value(NAMES[0]), value(NAMES[1]).parse().unwrap());
            let sign = |secret: &String| Webhook::new(secret).unwrap().sign(id, at, body).unwrap();
            let mut expected: Vec<String> = Vec::new();
            // A key that is there already does not sign twice.
            for signature in secrets.iter().map(sign) {
                if !expected.contains(&signature) {
                    expected.push(signature);
                }
            }
            prop_assert_eq!(value(NAMES[2]), expected.join(" "));
            for secret in &secrets {
                prop_assert!(by_the_library(secret, headers, body));
                prop_assert_eq!(by_ours(&[secret], headers, body), Ok(()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// What the library takes, we take, and nothing else.
    #[test]
    fn our_verdicts_are_the_librarys(
        secrets in [secret(), secret()],
        id in "[!-~]{1,60}",
        body in ".{0,80}",
        // Not at the very edge, which moves between the two.
        age in prop_oneof![-297_i64..=297, 303_i64..=100_000, -100_000_i64..=-303],
        change in change(),
    ) {
        let [secret, other] = &secrets;
        let at = now() - age;
        let mut signatures = Webhook::new(secret).unwrap().sign(&id, at, body.as_bytes()).unwrap();
        let (mut signer, mut body) = (secret, body.into_bytes());
        let mut replaced = None;
        match &change {
            Change::Nothing => {}
            Change::Body(index) if body.is_empty() => body.push(if index.index(2) == 0 { b' ' } else { b'0' }),
            Change::Body(index) => {
                let at = index.index(body.len());
                body[at] = if body[at] == b'x' { b'y' } else { b'x' };
            }
            Change::Header(index, value) => replaced = Some((index.index(3), Some(value.as_str()))),
            Change::Missing(index) => replaced = Some((index.index(3), None)),
            Change::Signature(index, to) => {
                let at = index.index(signatures.len());
                signatures.replace_range(at..=at, to.encode_utf8(&mut [0; 4]));
            }
            Change::Before(words) => signatures = format!("{words} {signatures}"),
            Change::Behind(words) => signatures = format!("{signatures} {words}"),
            Change::OtherKey => signer = other,
        }
        let mut headers = headers([&id, &at.to_string(), &signatures]);
        match replaced {
            Some((index, Some(value))) => {
                headers.insert(NAMES[index], value.parse().unwrap());
            }
            Some((index, None)) => {
                headers.remove(NAMES[index]);
            }
            None => {}
        }
        let ours = by_ours(&[signer], &headers, &body);
        // The library takes text only.
        let is_text = std::str::from_utf8(&body).is_ok();
        prop_assert_eq!(ours.is_ok() && is_text, by_the_library(signer, &headers, &body), "{:?}", ours);
        // What is wrong is said in the same words.
        let expected = match (&change, age) {
            (Change::Missing(index), _) => Some(VerifyError::Missing(NAMES[index.index(3)])),
            (Change::Header(..), _) => None,
            (_, 303..) => Some(VerifyError::TooOld),
            (_, ..=-303) => Some(VerifyError::TooNew),
            (Change::Body(_) | Change::OtherKey, _) => Some(VerifyError::Wrong),
            _ => None,
        };
        if let Some(expected) = expected {
            prop_assert_eq!(ours, Err(expected));
        }
    }
}
