//! The rules of the admin address, asked over a real connection.

use std::time::Duration;

use pilot_webhook_std::{Client, Data};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use std::net::SocketAddr;

use super::*;

const TOKEN: &str = "0123456789abcdef";

/// An admin address, until the runtime of the test ends. It has one endpoint, whose events are answered with text that
/// would act on a page.
struct World {
    address: SocketAddr,
    client: Client,
    watch: Arc<Watch>,
}

/// What a receiver says, and a topic is: text that acts where it is not escaped.
const HOSTILE: &str = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;";

/// A receiver that takes nothing.
async fn hostile_receiver() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret-path?token=secret", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 8192]).await.unwrap();
            let head = "HTTP/1.1 400 Bad\r\nconnection: close\r\ncontent-length:";
            let answer = format!("{head} {}\r\n\r\n{HOSTILE}", HOSTILE.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

impl World {
    async fn new(further: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let further: Vec<_> = further.iter().map(|&name| name.to_owned()).collect();
        let watch = Arc::<Watch>::default();
        let client = Client::builder(hostile_receiver().await)
            .http(pilot_webhook_std::HttpConfig::new().answers(2048));
        let hub = Hub::new();
        let client = hub.add("pilot", watch.client("pilot", client).into()).unwrap();
        let admin = Admin {
            listener,
            watch: Arc::clone(&watch),
            hosts: Hosts::new(&further),
            gate: Gate::new(TOKEN.as_bytes(), address.port()).unwrap(),
        };
        tokio::spawn(admin.serve(hub, None));
        Self { address, client, watch }
    }

    /// The whole answer to a request whose lines these are.
    async fn ask_raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        timeout(Duration::from_secs(20), read).await.expect("it is answered").unwrap();
        answer
    }

    async fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|header| header.starts_with("host:")) {
            request += &format!("host: {}\r\n", self.address);
        }
        for header in headers {
            request += &format!("{header}\r\n");
        }
        if method == "POST" {
            request += "content-type: application/x-www-form-urlencoded\r\n";
            request += &format!("content-length: {}\r\n", body.len());
        }
        Answer(self.ask_raw(&format!("{request}\r\n{body}")).await)
    }

    async fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.ask("GET", path, headers, "").await
    }

    /// Has an event fail.
    async fn fail<D: Data>(&self, topic: &str, data: &D) {
        self.client.emit(topic, data).unwrap().unwrap();
        self.client.drained().await;
    }

    /// The cookie of a log-in.
    async fn log_in(&self) -> String {
        let answer = self.ask("POST", "/login", &[], &format!("token={TOKEN}")).await;
        assert_eq!(answer.status(), 303, "{}", answer.0);
        let cookie = answer.header("set-cookie").unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

struct Answer(String);

impl Answer {
    fn status(&self) -> u16 {
        self.0.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").unwrap().1
    }

    fn header(&self, name: &str) -> Option<&str> {
        let head = self.0.split("\r\n\r\n").next().unwrap();
        let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

#[tokio::test]
async fn every_answer_binds_browsers() {
    let world = World::new(&[]).await;
    for answer in [
        world.get("/healthz", &[]).await,
        world.get("/no/such/page", &[]).await,
        world.get("/healthz", &["host: evil.example"]).await,
        world.ask("POST", "/login", &["origin: http://evil.example"], "token=x").await,
        world.ask("POST", "/login", &[], "token=x").await,
        world.ask("POST", "/login", &[], "nothing").await,
        world.ask("DELETE", "/login", &[], "").await,
    ] {
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'"), "{}", answer.0);
        assert!(policy.contains("frame-ancestors 'none'"), "{}", answer.0);
        assert!(!policy.contains("unsafe"), "{}", answer.0);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", answer.0);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", answer.0);
        assert_eq!(answer.header("access-control-allow-origin"), None, "{}", answer.0);
    }
}

#[tokio::test]
async fn a_name_that_leads_here_is_not_enough() {
    let world = World::new(&["hooks.example.org"]).await;
    for (host, status) in [
        ("host: localhost:1", 200),
        ("host: hooks.example.org", 200),
        ("host: evil.example", 421),
        ("host: 10.0.0.1", 421),
    ] {
        assert_eq!(world.get("/healthz", &[host]).await.status(), status, "{host}");
    }
    let none = Answer(world.ask_raw("GET /healthz HTTP/1.0\r\n\r\n").await);
    assert_eq!(none.status(), 421);
}

#[tokio::test]
async fn pages_of_others_change_nothing() {
    let world = World::new(&[]).await;
    let body = format!("token={TOKEN}");
    let own = format!("origin: http://{}", world.address);
    for (header, status) in [
        (own.as_str(), 303),
        ("sec-fetch-site: same-origin", 303),
        ("origin: http://evil.example", 403),
        ("origin: null", 403),
        ("sec-fetch-site: cross-site", 403),
        ("sec-fetch-site: same-site", 403),
    ] {
        let answer = world.ask("POST", "/login", &[header], &body).await;
        assert_eq!(answer.status(), status, "{header}");
        assert_eq!(answer.header("set-cookie").is_some(), status == 303, "{header}");
    }
}

#[tokio::test]
async fn tokens_cannot_be_guessed() {
    let world = World::new(&[]).await;
    for _ in 0..10 {
        let answer = world.ask("POST", "/login", &[], "token=guess").await;
        assert_eq!((answer.status(), answer.header("set-cookie")), (401, None));
    }
    let answer = world.ask("POST", "/login", &[], &format!("token={TOKEN}")).await;
    assert_eq!((answer.status(), answer.header("set-cookie")), (429, None));
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn long_bodies_are_refused() {
    let world = World::new(&[]).await;
    let body = format!("token={}", "x".repeat(5_000));
    assert_eq!(world.ask("POST", "/login", &[], &body).await.status(), 413);
}

#[tokio::test(start_paused = true)]
async fn who_sends_slowly_is_sent_away() {
    let world = World::new(&[]).await;
    let head = format!("POST /login HTTP/1.1\r\nhost: {}\r\n", world.address);
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    // A body that does not come, and heads that do not end.
    let answer = Answer(world.ask_raw(&format!("{head}{form}content-length: 9\r\n\r\ntok")).await);
    assert_eq!(answer.status(), 408);
    for unfinished in ["", "GET / HT", head.as_str()] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(unfinished.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        timeout(Duration::from_secs(90), read).await.expect("it ends").unwrap();
    }
}

#[tokio::test]
async fn what_shows_payloads_or_changes_something_needs_the_token() {
    let world = World::new(&[]).await;
    world.fail("a.topic", &json!({"payload": "hush"})).await;
    let open = world.get("/", &[]).await;
    assert_eq!(open.status(), 200);
    for secret in ["hush", "a.topic", "secret-path", "token=secret"] {
        assert!(!open.body().contains(secret), "{secret}");
    }
    for (method, path) in [
        ("GET", "/endpoints/pilot"),
        ("GET", "/endpoints/none"),
        ("GET", "/endpoints/pilot/live"),
        ("POST", "/endpoints/pilot/pause"),
        ("POST", "/endpoints/pilot/resume"),
        ("POST", "/endpoints/pilot/test"),
        ("POST", "/endpoints/pilot/replay"),
        ("POST", "/endpoints/pilot/discard"),
        ("POST", "/logout"),
    ] {
        for header in
            ["x: y", "authorization: Bearer 0123456789abcdeg", "cookie: pilot-webhookd-1=1.2"]
        {
            // A wrong token counts as a guess, of which there are ten in a minute.
            let world = if header.starts_with("auth") { &World::new(&[]).await } else { &world };
            let answer = world.ask(method, path, &[header], "").await;
            assert_eq!(answer.status(), 401, "{method} {path} {header}");
            assert!(!answer.body().contains("hush"));
        }
    }
    assert_eq!(world.client.stats().emitted, 1);
    let token = format!("authorization: Bearer {TOKEN}");
    let shown = world.get("/endpoints/pilot", &[&token]).await;
    assert_eq!(shown.status(), 200);
    assert!(shown.body().contains("hush") && shown.body().contains("a.topic"));
    assert!(!shown.body().contains("token=secret") && !shown.body().contains("secret-path"));
}

#[tokio::test]
async fn a_log_in_leads_on_and_a_log_out_ends_it() {
    let world = World::new(&[]).await;
    let body = format!("token={TOKEN}&then=pilot");
    let answer = world.ask("POST", "/login", &[], &body).await;
    assert_eq!(answer.header("location"), Some("/endpoints/pilot"));
    for elsewhere in ["//evil.example", "https://evil.example", "..", "nothing"] {
        let body = format!("token={TOKEN}&then={elsewhere}");
        let answer = world.ask("POST", "/login", &[], &body).await;
        assert_eq!(answer.header("location"), Some("/"), "{elsewhere}");
    }
    let cookie = format!("cookie: {}", world.log_in().await);
    assert_eq!(world.get("/endpoints/pilot", &[&cookie]).await.status(), 200);
    let own = format!("origin: http://{}", world.address);
    let out = world.ask("POST", "/logout", &[&cookie, &own], "").await;
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"), "{}", out.0);
}

#[tokio::test]
async fn a_change_by_cookie_names_its_page() {
    let world = World::new(&[]).await;
    let cookie = format!("cookie: {}", world.log_in().await);
    let (own, evil) = (format!("origin: http://{}", world.address), "origin: http://evil.example");
    for (headers, status) in [
        (&[cookie.as_str()][..], 403),
        (&[cookie.as_str(), evil], 403),
        (&[cookie.as_str(), "sec-fetch-site: cross-site"], 403),
        (&[cookie.as_str(), own.as_str()], 303),
    ] {
        let answer = world.ask("POST", "/endpoints/pilot/test", headers, "").await;
        assert_eq!(answer.status(), status, "{headers:?}");
    }
    assert_eq!(world.client.stats().emitted, 1);
    assert_eq!(world.get("/endpoints/pilot/test", &[&cookie]).await.status(), 405);
}

#[tokio::test]
async fn what_is_hostile_is_text() {
    let world = World::new(&[]).await;
    world.fail(HOSTILE, &json!({"data": HOSTILE})).await;
    let token = format!("authorization: Bearer {TOKEN}");
    let shown = world.get("/endpoints/pilot?done=%3Cscript%3E", &[&token]).await;
    assert!(shown.body().contains("&lt;script&gt;alert(1)"), "{}", shown.0);
    assert!(!shown.body().contains("<script>"), "{}", shown.0);
    assert!(!shown.body().contains("<img"), "{}", shown.0);
    let asked = world.get("/endpoints/%3Cscript%3E%22", &[]).await;
    assert!(!asked.body().contains("<script>"), "{}", asked.0);
}

#[tokio::test]
async fn pages_are_kept_live_and_readers_are_few() {
    let world = World::new(&[]).await;
    let mut readers = Vec::new();
    for n in 0..=16 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let request = format!("GET /live HTTP/1.1\r\nhost: {}\r\n\r\n", world.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        while !text.contains("\n\n") && !text.contains("too many") {
            let mut bytes = [0; 4096];
            let read = timeout(Duration::from_secs(20), stream.read(&mut bytes)).await.unwrap();
            text += &String::from_utf8_lossy(&bytes[..read.unwrap()]);
        }
        assert_eq!(text.starts_with("HTTP/1.1 200"), n < 16, "{n}: {text}");
        assert_eq!(text.contains("\"name\":\"pilot\""), n < 16, "{n}: {text}");
        readers.push(stream);
    }
    // Their places are free when they go.
    drop(readers);
    for _ in 0..100 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let request = format!("GET /live HTTP/1.1\r\nhost: {}\r\n\r\n", world.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        if &status == b"HTTP/1.1 200" {
            return;
        }
    }
    panic!("no place came free");
}

/// Without a script: what the page shows and asks for stands in it.
#[tokio::test]
async fn the_page_is_whole_without_its_script() {
    let world = World::new(&[]).await;
    world.fail("a.topic", &json!(7)).await;
    let cookie = format!("cookie: {}", world.log_in().await);
    let own = format!("origin: http://{}", world.address);
    let page = world.get("/endpoints/pilot", &[&cookie]).await;
    for there in [
        "delivering",
        ">400<",
        "a.topic",
        "action=\"/endpoints/pilot/pause\"",
        "data-paused=\"false\"",
    ] {
        assert!(page.body().contains(there), "{there}: {}", page.0);
    }
    for (action, is_paused) in [("pause", true), ("resume", false)] {
        let path = format!("/endpoints/pilot/{action}");
        let answer = world.ask("POST", &path, &[&cookie, &own], "").await;
        assert_eq!(answer.status(), 303);
        assert_eq!(world.client.is_paused(), is_paused);
        let then = world.get(answer.header("location").unwrap(), &[&cookie]).await;
        assert!(then.body().contains(&format!("data-paused=\"{is_paused}\"")), "{}", then.0);
    }
    for unknown in ["/endpoints/none/pause", "/endpoints/pilot/explode"] {
        let answer = world.ask("POST", unknown, &[&cookie, &own], "").await;
        assert!(matches!(answer.status(), 400 | 404), "{unknown}: {}", answer.0);
    }
}

#[tokio::test]
async fn machines_are_told_without_the_token_and_only_at_this_host() {
    let world = World::new(&[]).await;
    world.fail("a", &HOSTILE).await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = world.get(path, &[]).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(!answer.body().contains("secret"), "{path}");
        let elsewhere = world.get(path, &["host: evil.example"]).await;
        assert_eq!(elsewhere.status(), 421, "{path}");
    }
    let plain = world.get("/metrics", &[]).await;
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let sample = "pilot_webhook_attempts_total{endpoint=\"pilot\",class=\"4xx\"} 1\n";
    assert!(plain.body().contains(sample), "{}", plain.body());
    let open = world.get("/metrics", &["accept: application/openmetrics-text;q=0.9"]).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("content-type"), Some(kind));
    assert!(open.body().contains(sample) && open.body().ends_with("# EOF\n"));
}

#[tokio::test]
async fn who_takes_no_events_says_why() {
    let world = World::new(&[]).await;
    let ready = world.get("/readyz", &[]).await;
    assert_eq!((ready.status(), ready.body()), (200, "{\"ready\":true,\"reasons\":[]}\n"));
    world.client.clear();
    world.watch.stopping();
    let not = world.get("/readyz", &[]).await;
    let expected = "{\"ready\":false,\"reasons\":[\"stopping\",\"no-webhook\"]}\n";
    assert_eq!((not.status(), not.body()), (503, expected));
}
