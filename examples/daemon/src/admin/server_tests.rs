//! The rules of the admin address, asked over a real connection.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use std::net::SocketAddr;

use super::*;

const TOKEN: &str = "0123456789abcdef";

/// An admin address, until the runtime of the test ends.
struct World {
    address: SocketAddr,
}

impl World {
    async fn new(further: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let further: Vec<_> = further.iter().map(|&name| name.to_owned()).collect();
        let admin = Admin {
            listener,
            hosts: Hosts::new(&further),
            gate: Gate::new(TOKEN.as_bytes(), address.port()).unwrap(),
        };
        tokio::spawn(admin.serve());
        Self { address }
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
        if !body.is_empty() {
            request += "content-type: application/x-www-form-urlencoded\r\n";
            request += &format!("content-length: {}\r\n", body.len());
        }
        Answer(self.ask_raw(&format!("{request}\r\n{body}")).await)
    }

    async fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.ask("GET", path, headers, "").await
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
