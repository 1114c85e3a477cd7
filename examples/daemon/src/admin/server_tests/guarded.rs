//! Who is heard, and who is let in.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::world::{Answer, TOKEN, World};

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
async fn connections_that_ask_for_nothing_keep_nobody_out() {
    let world = World::new(&[]).await;
    let mut silent = Vec::new();
    for _ in 0..super::super::CONNECTIONS + 6 {
        silent.push(TcpStream::connect(world.address).await.unwrap());
    }
    let answer = timeout(Duration::from_secs(5), world.get("/healthz", &[])).await;
    assert_eq!(answer.expect("it is answered").status(), 200);
    // The oldest made room.
    assert_eq!(silent[0].read(&mut [0]).await.unwrap_or(0), 0);
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
