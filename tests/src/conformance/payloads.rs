//! The payloads of pilot's Go plugin, as a receiver gets them.

use hmac::{Hmac, Mac};
use pilot_webhook_core::{Config, Event, Json, Policy, Timestamp, Transport};
use serde_json::Value;
use sha2::Sha256;

use crate::Act::{Send, Serve};
use crate::deliver::{CONFIG, Delivered, Memory, deliver};
use crate::{Authority, Seen, Server, Setup, Url};

const VECTORS: &str = include_str!("../../../core/tests/data/go-payloads.jsonl");
const MAX: usize = 16_384;

/// Emits every vector's event and compares what arrives with what the Go plugin sent: as JSON, the
/// envelope to the letter, the timestamp's text, and the signature. Returns how many there were.
///
/// # Panics
/// When anything differs.
pub async fn payloads<T: Transport<Url>>(make: impl Fn(&Setup) -> T) -> usize {
    let ok = vec![Serve(|_| vec![Send("HTTP/1.1 204 No Content\r\n\r\n".into())])];
    let server = Server::start(vec![ok], None).await;
    let mut transport =
        make(&Setup { policy: Policy::default(), ca_pem: Authority::new().pem(), names: &[] });
    let mut count = 0;
    for line in VECTORS.lines() {
        let vector = Vector(serde_json::from_str(line).unwrap());
        let delivered = send(&mut transport, &server, &vector).await;
        let stats = delivered.map_err(|error| format!("{}: {error}", vector.text("name")));
        assert_eq!(stats.unwrap().stats.delivered, 1, "{}", vector.text("name"));
        check(&vector, server.requests().last().unwrap());
        count += 1;
    }
    assert_eq!((server.requests().len(), server.connections()), (count, 1));
    count
}

async fn send<T: Transport<Url>>(
    transport: &mut T,
    server: &Server,
    vector: &Vector,
) -> Result<Delivered, String> {
    let url = format!("http://{}/hook", server.address());
    let url = Url::parse(&url, Policy::default()).unwrap();
    let config = Config { max_event_bytes: MAX, ..CONFIG };
    let event = Event::new(
        vector.text("event"),
        vector.number("node_id").try_into().unwrap(),
        Timestamp::new(
            vector.number("unix_seconds"),
            vector.number("subsec_nanos").try_into().unwrap(),
        ),
    );
    let secret = Some(vector.text("secret"));
    // No data is `null`, whose key is left out.
    let data = Some(vector.text("data_json")).filter(|data| !data.is_empty());
    let data = Json(data.unwrap_or("null"));
    deliver(transport, url, config, secret, &event, &data, Memory::UNCOUNTED).await
}

#[track_caller]
fn check(vector: &Vector, seen: &Seen) {
    let (name, secret, original) =
        (vector.text("name"), vector.text("secret"), vector.text("body"));
    // The oracle of the signatures is first checked against the Go plugin's.
    assert_eq!(sign(secret, original.as_bytes()), vector.text("signature"), "{name}");
    let signature = seen.header("X-Pilot-Signature-256");
    assert_eq!(signature, Some(sign(secret, &seen.body).as_str()), "{name}");
    assert_eq!(seen.header("Content-Type"), Some("application/json"), "{name}");

    let ours = std::str::from_utf8(&seen.body).unwrap();
    // The dispatcher gives the ids; here each event is the first.
    let id = format!("{{\"event_id\":{},", vector.text("event_id"));
    assert!(ours.starts_with("{\"event_id\":1,"), "{name}: {ours}");
    let ours = ours.replacen("{\"event_id\":1,", &id, 1);
    // Whatever comes before the data is equal to the letter.
    let envelope = |body: &str| body.split(",\"data\":").next().unwrap().to_owned();
    assert_eq!(envelope(&ours), envelope(original), "{name}");
    let [ours, original] =
        [&ours, original].map(|body| serde_json::from_str::<Value>(body).unwrap());
    assert_eq!(ours["timestamp"], original["timestamp"], "{name}");
    assert!(is_same(&ours, &original), "{name}: {ours}, not {original}");
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Equal as JSON: `2` and `2.0` are one number.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(l), Value::Number(r)) => l == r || l.as_f64() == r.as_f64(),
        (Value::Array(l), Value::Array(r)) => {
            l.len() == r.len() && l.iter().zip(r).all(|(l, r)| is_same(l, r))
        }
        (Value::Object(l), Value::Object(r)) => {
            l.len() == r.len() && l.iter().all(|(key, l)| r.get(key).is_some_and(|r| is_same(l, r)))
        }
        _ => left == right,
    }
}

/// A line of the file.
struct Vector(Value);

impl Vector {
    #[track_caller]
    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap()
    }

    #[track_caller]
    fn number(&self, key: &str) -> i64 {
        self.0[key].as_i64().unwrap()
    }
}
