//! Senders of all kinds over loopback, with limits that are soon reached.

use pilot_webhook_core::Secret;
use pilot_webhook_std::{Client, EndpointOptions, Hub};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::when_full::{FullNow, WhenFull};
use super::*;

const EVENT: &str = r#"{"event_id":1,"event":"e","node_id":5,"timestamp":"2026-01-15T12:34:56Z"}"#;

/// Longer than any test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(30);

struct Bench {
    address: SocketAddr,
    client: Client,
    tally: Arc<Tally>,
    serving: Serving,
}

impl Bench {
    async fn start(limits: Limits) -> Self {
        Self::start_with(limits, "http://127.0.0.1:9/", None).await
    }

    async fn start_with(limits: Limits, url: &str, secret: Option<&[u8]>) -> Self {
        let Ok(mut ingress) = Ingress::bind("127.0.0.1:0".parse().unwrap()).await else { panic!() };
        ingress.limits = limits;
        let address = ingress.address();
        let tally = Arc::<Tally>::default();
        let hub = Hub::new();
        let options = EndpointOptions { waits: true, ..Client::builder(url).into() };
        let client = hub.add("pilot", options).unwrap();
        let intake = Intake::new(hub, FullNow::new(WhenFull::SendBack), Arc::clone(&tally));
        let check = Check::from(secret.and_then(Secret::new));
        let serving = ingress.start(intake, check, Arc::clone(&tally));
        Self { address, client, tally, serving }
    }

    async fn connect(&self) -> Sender {
        Sender(TcpStream::connect(self.address).await.unwrap())
    }

    fn requests(&self) -> u64 {
        self.tally.requests.load(Relaxed)
    }
}

struct Sender(TcpStream);

impl Sender {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// One answer: its head, in lower case, and its body.
    async fn answer(&mut self) -> (String, String) {
        timeout(PATIENCE, self.read_answer()).await.expect("an answer in time")
    }

    async fn read_answer(&mut self) -> (String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap().into());
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    /// The connection is closed or reset, and nothing more comes before.
    async fn expect_end(&mut self) {
        let read = timeout(PATIENCE, self.0.read(&mut [0; 64])).await.expect("an end in time");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}

fn post(body: &str) -> String {
    post_with("", body)
}

fn post_with(headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST /any HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_refusal_has_a_status_a_header_and_a_reason_in_one_line() {
    let bench = Bench::start(LIMITS).await;
    let too_long = format!("[{}]", " ".repeat(LIMITS.body_max));
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{too_long}\r\n0\r\n\r\n",
        too_long.len()
    );
    let long_event = format!("{{\"event\":\"{}\"}}", "x".repeat(70_000));
    let announced = "Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n";
    for (request, status, header, reason) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405, "allow: post", "must be POST"),
        ("PUT / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405, "allow: post", "must be POST"),
        (post_with("Origin: http://evil.example\r\n", EVENT), 403, "", "web pages"),
        (post(""), 400, "text/plain", "neither a JSON object nor an array"),
        (post("{}"), 400, "", "it needs event"),
        (post("nope"), 400, "", "neither"),
        (post("[{\"event\":\"a\"},7]"), 400, "", "event 2 of the array: not a JSON object"),
        (post(&too_long), 413, "", "the body is too long"),
        (chunked, 413, "", "the body is too long"),
        (post(&long_event), 413, "", "longer than an event may be"),
        (format!("POST / HTTP/1.1\r\nHost: a\r\n{announced}"), 413, "", "the body is too long"),
    ] {
        let mut sender = bench.connect().await;
        sender.send(&request).await;
        let (head, body) = sender.answer().await;
        let shown = &request[..request.len().min(100)];
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{shown}: {head}");
        assert!(head.contains(header), "{shown}: {head}");
        assert!(body.contains(reason), "{shown}: {body}");
        assert_eq!(body.lines().count(), 1, "{shown}: {body}");
    }
    // All but the event that is too long, which is in the engine's account.
    assert_eq!((bench.requests(), bench.tally.bad_requests.load(Relaxed)), (11, 10));
    assert_eq!((bench.tally.posted.load(Relaxed), bench.client.stats().oversize), (1, 1));
}

#[tokio::test]
async fn heads_that_are_too_large_or_no_http_are_refused() {
    let bench = Bench::start(LIMITS).await;
    let large = format!("X: {}\r\n", "x".repeat(2 * LIMITS.head_max));
    for (request, status) in [
        (post_with(&large, EVENT), 431),
        (post_with(&"X: y\r\n".repeat(200), EVENT), 431),
        ("POST / HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400),
        (post_with("Content-Length: 2\r\n", EVENT), 400),
    ] {
        let mut sender = bench.connect().await;
        // It may be refused before it is sent.
        let _ = sender.0.write_all(request.as_bytes()).await;
        let (head, _) = sender.answer().await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
    }
    assert_eq!((bench.requests(), bench.client.stats().emitted), (0, 0));
}

#[tokio::test]
async fn what_is_taken_is_answered_204_over_one_connection() {
    // With a place to spare it is kept.
    let bench = Bench::start(Limits { connections: 2, ..LIMITS }).await;
    let mut sender = bench.connect().await;
    // With any content type, or none.
    for headers in ["", "Content-Type: application/json\r\n", "Content-Type: text/plain\r\n"] {
        sender.send(&post_with(headers, EVENT)).await;
        let (head, body) = sender.answer().await;
        assert!(head.starts_with("http/1.1 204 "), "{head}");
        assert_eq!(body, "");
    }
    assert_eq!((bench.client.stats().emitted, bench.tally.repeats.load(Relaxed)), (1, 2));
}

#[tokio::test]
async fn a_sender_that_asks_first_is_told_to_go_on() {
    let bench = Bench::start(LIMITS).await;
    let mut sender = bench.connect().await;
    let request = post_with("Expect: 100-continue\r\n", EVENT);
    sender.send(request.strip_suffix(EVENT).unwrap()).await;
    assert!(sender.answer().await.0.starts_with("http/1.1 100 "));
    sender.send(EVENT).await;
    assert!(sender.answer().await.0.starts_with("http/1.1 204 "));
}

#[tokio::test]
async fn a_sender_that_closes_its_side_is_answered() {
    let bench = Bench::start(LIMITS).await;
    let whole = post(EVENT);
    for (request, status) in [(whole.as_str(), 204), (&whole[..whole.len() - 1], 400)] {
        let mut sender = bench.connect().await;
        sender.send(request).await;
        sender.0.shutdown().await.unwrap();
        let (head, reason) = sender.answer().await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert_eq!(reason, if status == 204 { "" } else { "the body did not come whole\n" });
        sender.expect_end().await;
    }
    assert_eq!((bench.client.stats().emitted, bench.tally.bad_requests.load(Relaxed)), (1, 1));
}

#[tokio::test]
async fn without_a_right_signature_nothing_is_read() {
    let bench = Bench::start_with(LIMITS, "http://127.0.0.1:9/", Some(b"hush")).await;
    let mut sender = bench.connect().await;
    let signed = |secret: &[u8], signed: &str| {
        let signature = Secret::new(secret).unwrap().sign(signed.as_bytes());
        format!("X-Pilot-Signature-256: {}\r\n", signature.as_str())
    };
    for (headers, body, expected) in [
        (String::new(), EVENT, "the header X-Pilot-Signature-256 is missing\n"),
        (
            "X-Pilot-Signature-256: 12\r\n".to_owned(),
            EVENT,
            "the header X-Pilot-Signature-256 is malformed\n",
        ),
        (signed(b"other", EVENT), EVENT, "the signature is wrong\n"),
        // Over the bytes, not over what they mean.
        (signed(b"hush", &format!(" {EVENT}")), EVENT, "the signature is wrong\n"),
        (String::new(), "nope", "the header X-Pilot-Signature-256 is missing\n"),
    ] {
        sender.send(&post_with(&headers, body)).await;
        let (head, reason) = sender.answer().await;
        assert!(head.starts_with("http/1.1 401 "), "{head}");
        assert!(head.contains("www-authenticate: x-pilot-signature-256\r\n"), "{head}");
        assert_eq!(reason, expected);
    }
    sender.send(&post_with(&signed(b"hush", EVENT), EVENT)).await;
    assert!(sender.answer().await.0.starts_with("http/1.1 204 "));
    // From the next request on.
    bench.serving.set_check(Secret::new(b"new").into());
    sender.send(&post_with(&signed(b"hush", EVENT), EVENT)).await;
    assert!(sender.answer().await.0.starts_with("http/1.1 401 "));
    sender.send(&post_with(&signed(b"new", EVENT), EVENT)).await;
    assert!(sender.answer().await.0.starts_with("http/1.1 204 "));
    assert_eq!((bench.tally.bad_requests.load(Relaxed), bench.client.stats().emitted), (6, 1));
}

#[tokio::test]
async fn without_room_or_a_webhook_the_sender_is_told_when_to_come_again() {
    let bench = Bench::start_with(LIMITS, "", None).await;
    let mut sender = bench.connect().await;
    sender.send(&post(EVENT)).await;
    let (head, reason) = sender.answer().await;
    assert!(head.starts_with("http/1.1 503 ") && head.contains("retry-after: 10\r\n"), "{head}");
    assert_eq!(reason, "there is no webhook to deliver to\n");
    bench.client.set_url("http://127.0.0.1:9/").unwrap();
    let events: Vec<_> = (1..=1_025).map(|id| EVENT.replace(":1,", &format!(":{id},"))).collect();
    sender.send(&post(&format!("[{}]", events.join(",")))).await;
    let (head, reason) = sender.answer().await;
    assert!(head.starts_with("http/1.1 503 ") && head.contains("retry-after: 1\r\n"), "{head}");
    assert_eq!(reason, "1024 of 1025 events are queued: the event queue is full\n");
    assert_eq!(bench.tally.bad_requests.load(Relaxed), 0);
}

#[tokio::test]
async fn a_sender_that_stops_inside_a_head_or_before_one_is_cut_off() {
    let bench = Bench::start(Limits { head: Duration::from_millis(50), ..LIMITS }).await;
    for text in ["", "POST / HTTP/1.1\r\nHo"] {
        let mut sender = bench.connect().await;
        sender.send(text).await;
        sender.expect_end().await;
    }
    assert_eq!(bench.requests(), 0);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_408() {
    let bench = Bench::start(Limits { body: Duration::from_millis(50), ..LIMITS }).await;
    let mut sender = bench.connect().await;
    sender.send(post(EVENT).strip_suffix('}').unwrap()).await;
    let (head, reason) = sender.answer().await;
    assert!(head.starts_with("http/1.1 408 "), "{head}");
    assert_eq!(reason, "the body did not come in time\n");
    sender.expect_end().await;
    assert_eq!((bench.requests(), bench.client.stats().emitted), (1, 0));
}

#[tokio::test]
async fn a_sender_that_reads_no_answers_is_cut_off() {
    let bench = Bench::start(Limits { stall: Duration::from_millis(100), ..LIMITS }).await;
    let mut sender = bench.connect().await;
    let requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_000);
    let endless = async { while sender.0.write_all(requests.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, endless).await.expect("an end in time");
}

#[tokio::test]
async fn a_connection_too_many_waits_for_a_place() {
    let bench = Bench::start(Limits { connections: 1, ..LIMITS }).await;
    let idle = bench.connect().await;
    while bench.serving.answering.places.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    // Its connection stands in the system's backlog.
    let mut second = bench.connect().await;
    second.send(&post(EVENT)).await;
    assert!(timeout(Duration::from_millis(50), second.read_answer()).await.is_err());
    drop(idle);
    let (head, _) = second.answer().await;
    // The place goes to the next one after each request.
    assert!(head.starts_with("http/1.1 204 ") && head.contains("connection: close\r\n"), "{head}");
    second.expect_end().await;
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way_and_takes_nothing_new() {
    let bench = Bench::start(LIMITS).await;
    let (mut idle, mut silent) = (bench.connect().await, bench.connect().await);
    idle.send(&post(EVENT)).await;
    idle.answer().await;
    let mut busy = bench.connect().await;
    let request = post_with("Expect: 100-continue\r\n", "{\"event\":\"late\"}");
    let (head, body) = request.split_at(request.find('{').unwrap());
    busy.send(head).await;
    busy.answer().await;
    let stop = tokio::spawn(bench.serving.stop(PATIENCE));
    idle.expect_end().await;
    silent.expect_end().await;
    assert!(TcpStream::connect(bench.address).await.is_err());
    assert!(!stop.is_finished());
    busy.send(body).await;
    assert!(busy.answer().await.0.starts_with("http/1.1 204 "));
    stop.await.unwrap();
    assert_eq!(bench.client.stats().emitted, 2);
}

#[tokio::test]
async fn a_stop_cuts_off_who_takes_too_long() {
    let bench = Bench::start(LIMITS).await;
    let mut slow = bench.connect().await;
    slow.send(&post_with("Expect: 100-continue\r\n", EVENT)[..70]).await;
    timeout(PATIENCE, bench.serving.stop(Duration::from_millis(50))).await.unwrap();
    slow.expect_end().await;
    assert_eq!(bench.client.stats().emitted, 0);
}
