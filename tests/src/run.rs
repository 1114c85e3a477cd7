//! Plays scenarios to transports.

use std::time::Duration;

use pilot_webhook_core::{ErrorKind, Message, Policy, Reply, Transport, TransportError};

use crate::deliver::Url;
use tokio::time::{sleep, timeout};

use crate::scenarios::scenarios;
use crate::{Abilities, Authority, Expect, Scenario, Server, Setup, Step};

/// The request target of every post. Its query is a secret that no error may show.
pub const TARGET: &str = "/hook/%C3%A9?key=s3cret&list=[1]|'x'";
/// The headers of every post, as core makes them. The signature is as secret.
pub const HEADERS: [(&str, &str); 3] = [
    ("X-Pilot-Message-Id", "7-9f86d081884c7d65-42"),
    ("Content-Type", "application/json"),
    ("X-Pilot-Signature-256", "sha256=c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"),
];
/// How long a post must stay without a result where none is expected.
const PATIENCE: Duration = Duration::from_millis(300);
/// A result that is expected comes in milliseconds, or never.
const STUCK: Duration = Duration::from_secs(60);
/// More than fits into the buffers of both ends, after their largest growth on loopback.
const LARGE: usize = 16 * 1024 * 1024;

/// The body of the n-th post.
#[must_use]
pub fn body(post: usize) -> Vec<u8> {
    format!(r#"{{"event_id":{},"event":"test","data":"pay\u0000load é"}}"#, post + 1).into_bytes()
}

fn large_body(post: usize) -> Vec<u8> {
    let mut body = body(post);
    body.resize(LARGE, b' ');
    body
}

/// Plays all scenarios that a kind of transport is able to, each with a new one by `make`. Those
/// whose name contains the value of the environment variable `SCENARIO`, if that is set.
///
/// # Panics
/// When any of them fails, with all that failed.
pub async fn run_all<T: Transport<Url>>(abilities: Abilities, make: impl Fn(&Setup) -> T) {
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let mut failures = Vec::new();
    let mut count = 0;
    let authority = Authority::new();
    for scenario in scenarios() {
        if scenario.is_for(abilities) && scenario.name.contains(&wanted) {
            count += 1;
            if let Err(failure) = run(&scenario, &authority, &make).await {
                failures.push(format!("{}: {failure}", scenario.name));
            }
        }
    }
    println!("{count} scenarios, {} failed", failures.len());
    assert!(count > 0, "no scenario is called {wanted:?}");
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Plays one scenario.
///
/// # Errors
/// What differs from the scenario.
pub async fn run<T: Transport<Url>>(
    scenario: &Scenario,
    authority: &Authority,
    make: impl Fn(&Setup) -> T,
) -> Result<(), String> {
    let server = match &scenario.server {
        None => Server::refusing(),
        Some(scripts) => {
            let tls = scenario.tls.map(|certificate| authority.server(certificate));
            Server::start(scripts.clone(), tls).await
        }
    };
    let mut transport =
        make(&Setup { policy: scenario.policy, ca_pem: authority.pem(), names: scenario.names });
    let scheme = if scenario.https { "https" } else { "http" };
    let port = server.address().port();
    let url = format!("{scheme}://{}:{port}{TARGET}", scenario.host);
    let endpoint =
        Url::parse(&url, Policy::default()).map_err(|error| format!("{url}: {error}"))?;
    let mut bodies = Vec::new();
    for step in &scenario.steps {
        let (expect, body) = match step {
            Step::Closed(count) => {
                server.closed(*count).await;
                continue;
            }
            Step::Sent(bytes) => {
                server.has_sent(*bytes).await;
                continue;
            }
            Step::Post(expect) => (expect, body(bodies.len())),
            Step::PostLarge(expect) => (expect, large_body(bodies.len())),
        };
        let message = Message::new(&HEADERS, &body);
        check_post(&mut transport, &endpoint, &message, expect, &server)
            .await
            .map_err(|error| format!("post {}: {error}", bodies.len()))?;
        server.post_is_done();
        bodies.push(body);
    }
    check_server(scenario, &server, &bodies).await
}

async fn check_post<T: Transport<Url>>(
    transport: &mut T,
    to: &Url,
    message: &Message<'_>,
    expect: &Expect,
    server: &Server,
) -> Result<(), String> {
    let result = if *expect == Expect::Nothing {
        let arrived = server.requests().len() + 1;
        tokio::select! {
            result = transport.send(to, message) => result,
            () = async { server.read(arrived).await; sleep(PATIENCE).await } => return Ok(()),
        }
    } else {
        let Ok(result) = timeout(STUCK, transport.send(to, message)).await else {
            return Err(format!("stuck, not {expect:?}"));
        };
        result
    };
    match (expect, result) {
        (Expect::Answer(expected), Ok(got)) if Reply::from(*expected) == got => Ok(()),
        (Expect::Fails(kinds), Err(error)) if kinds.contains(&error.kind()) => check_text(&error),
        (Expect::Malformed(what), Err(error))
            if error.kind() == ErrorKind::Protocol
                && error.to_string().contains(&what.to_string()) =>
        {
            check_text(&error)
        }
        (expect, Ok(got)) => Err(format!("{got:?}, not {expect:?}")),
        (expect, Err(error)) => Err(format!("{:?} ({error}), not {expect:?}", error.kind())),
    }
}

/// The text of an error must not show a secret.
fn check_text(error: &impl TransportError) -> Result<(), String> {
    let text = error.to_string();
    let secret = ["s3cret", "/hook", "load", "c0ffee"].iter().find(|part| text.contains(**part));
    match secret {
        _ if text.is_empty() => Err("the error has no text".into()),
        Some(secret) => Err(format!("the error tells {secret:?}: {text}")),
        None => Ok(()),
    }
}

async fn check_server(
    scenario: &Scenario,
    server: &Server,
    posted: &[Vec<u8>],
) -> Result<(), String> {
    // The client may be done before the server has looked.
    server.accepted(*scenario.connections.start()).await;
    server.read(scenario.arrived.len()).await;
    let connections = server.connections();
    if !scenario.connections.contains(&connections) {
        return Err(format!("{connections} connections, not {:?}", scenario.connections));
    }
    let seen = server.requests();
    let bodies: Vec<_> = seen.iter().map(|seen| seen.body.as_slice()).collect();
    let expected: Vec<_> = scenario.arrived.iter().map(|post| &*posted[*post]).collect();
    if bodies != expected {
        let start =
            |body: &&[u8]| String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let bodies: Vec<_> = bodies.iter().map(start).collect();
        return Err(format!("arrived: {bodies:?}, not posts {:?}", scenario.arrived));
    }
    let host = format!("{}:{}", scenario.host, server.address().port());
    for request in &seen {
        let mut expected = HEADERS.to_vec();
        expected.push(("Host", &host));
        for (name, value) in expected {
            if request.header(name) != Some(value) {
                return Err(format!("{name} is not {value:?}: {}", request.head));
            }
            let count = request.head.lines().filter(|line| {
                line.split(':').next().is_some_and(|found| found.eq_ignore_ascii_case(name))
            });
            if count.count() != 1 {
                return Err(format!("{name} is there twice: {}", request.head));
            }
        }
        if request.header("User-Agent").is_none_or(|agent| !agent.starts_with("pilot-webhook-")) {
            return Err(format!("no fitting User-Agent: {}", request.head));
        }
        // The standard of URLs that browsers have writes one letter another way.
        let target = request.head.replacen("%27", "'", 2);
        if !target.starts_with(&format!("POST {TARGET} HTTP/1.1\r\n")) {
            return Err(format!("wrong request line: {}", request.head));
        }
    }
    Ok(())
}
