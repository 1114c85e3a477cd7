//! What the std transport does beyond the shared scenarios: with its kept connection, and with
//! answers that come early or late.

use std::io::Write as _;
use std::sync::{Arc, mpsc};
use std::thread;

use pilot_webhook_core::{EndpointBuf, Message, Policy, Reply, Transport};
use pilot_webhook_std::{HttpConfig, HttpError, HttpTransport};
use pilot_webhook_tests::{Act, Authority, Certificate, Script, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn transport() -> HttpTransport {
    HttpTransport::new(&HttpConfig::new().system_roots(false).build().unwrap())
}

async fn server<const N: usize>(scripts: [Script; N]) -> (Server, EndpointBuf<64>) {
    let server = Server::start(scripts.into(), None).await;
    let url = format!("http://{}/", server.address());
    (server, EndpointBuf::parse(&url, Policy::default()).unwrap())
}

async fn post(
    transport: &mut HttpTransport,
    endpoint: &EndpointBuf<64>,
    body: &[u8],
) -> Result<Reply, HttpError> {
    transport.send(endpoint, &Message::new(&[], body)).await
}

fn send(text: &str) -> Act {
    Act::Send(text.into())
}

#[tokio::test]
async fn a_status_does_not_wait_for_its_body_and_a_late_body_costs_no_connection() {
    let (server, endpoint) = server([vec![
        Act::Read,
        send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        Act::AwaitPosts(1),
        send("hello"),
        Act::Read,
        send("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"),
    ]])
    .await;
    let mut transport = transport();
    assert_eq!(post(&mut transport, &endpoint, b"1").await.unwrap().code, 200);
    server.post_is_done();
    assert_eq!(post(&mut transport, &endpoint, b"2").await.unwrap().code, 202);
    assert_eq!(server.connections(), 1);
    assert!(transport.is_connected());
}

/// A refusal must not get lost in the reset that a server causes by not reading the rest.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_counts_even_if_the_rest_of_the_request_cannot_be_written() {
    let script = vec![
        Act::ReadHead,
        send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"),
        Act::Cut,
    ];
    let large = vec![b' '; 16 * 1024 * 1024];
    for _ in 0..50 {
        let (_server, endpoint) = server([script.clone()]).await;
        let mut transport = transport();
        assert_eq!(post(&mut transport, &endpoint, &large).await.unwrap().code, 413);
        assert!(!transport.is_connected());
    }
}

/// Tokio knows of a closed connection when its driver has run. Here it does not run between the
/// posts, so that only the kernel knows.
#[test]
fn a_closed_connection_is_found_even_if_the_runtime_had_no_time_to_look() {
    let (tell_url, url) = mpsc::channel();
    let (tell_closed, closed) = mpsc::channel();
    let (done, is_done) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let script = vec![Act::Read, send(OK), Act::AwaitPosts(1), Act::Close];
        let (server, endpoint) = runtime.block_on(server([script, vec![Act::Read, send(OK)]]));
        let server = Arc::new(server);
        tell_url.send((Arc::clone(&server), endpoint)).unwrap();
        runtime.block_on(server.closed(1));
        tell_closed.send(()).unwrap();
        is_done.recv().unwrap();
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (server, endpoint) = url.recv().unwrap();
        let mut transport = transport();
        assert_eq!(post(&mut transport, &endpoint, b"1").await.unwrap().code, 200);
        assert!(transport.is_connected());
        server.post_is_done();
        // Blocks the runtime, on purpose.
        closed.recv().unwrap();
        assert_eq!(post(&mut transport, &endpoint, b"2").await.unwrap().code, 200);
        let seen = server.requests();
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[1].connection, seen[1].body.as_slice()), (1, b"2".as_slice()));
    });
    done.send(()).unwrap();
    thread.join().unwrap();
}

#[tokio::test]
async fn a_connection_is_not_kept_longer_than_the_server_announces() {
    let hurried = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n";
    let (server, endpoint) =
        server([vec![Act::Read, send(hurried)], vec![Act::Read, send(OK)]]).await;
    let mut transport = transport();
    assert_eq!(post(&mut transport, &endpoint, b"1").await.unwrap().code, 200);
    assert!(!transport.is_connected());
    assert_eq!(post(&mut transport, &endpoint, b"2").await.unwrap().code, 200);
    assert_eq!(server.connections(), 2);
}

/// RFC 8446, section 6.1. Without it, servers log a connection that was cut.
#[tokio::test]
async fn the_end_of_a_tls_connection_is_announced() {
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(authority.server(Certificate::Good));
    let mut ca = tempfile::NamedTempFile::new().unwrap();
    ca.write_all(authority.pem().as_bytes()).unwrap();
    let http = HttpConfig::new().system_roots(false).ca_file(ca.path()).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let endpoint = EndpointBuf::<64>::parse(&url, Policy::default()).unwrap();
    let server = async {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"body") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(OK.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        stream
    };
    let mut transport = HttpTransport::new(&http);
    let (result, mut stream) = tokio::join!(post(&mut transport, &endpoint, b"body"), server);
    assert_eq!(result.unwrap().code, 200);
    drop(transport);
    // A connection that is cut is an error.
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn another_origin_gets_a_connection_of_its_own() {
    let (first, first_endpoint) = server([vec![Act::Read, send(OK)]]).await;
    let (second, second_endpoint) = server([vec![Act::Read, send(OK)]]).await;
    let mut transport = transport();
    assert_eq!(post(&mut transport, &first_endpoint, b"1").await.unwrap().code, 200);
    assert_eq!(post(&mut transport, &second_endpoint, b"2").await.unwrap().code, 200);
    assert_eq!((first.connections(), second.connections()), (1, 1));
    assert_eq!((&*first.requests()[0].body, &*second.requests()[0].body), (&b"1"[..], &b"2"[..]));
}

#[tokio::test]
async fn an_empty_body_has_a_length_and_the_agent_a_version() {
    let (server, endpoint) = server([vec![Act::Read, send(OK)]]).await;
    assert_eq!(post(&mut transport(), &endpoint, b"").await.unwrap().code, 200);
    let seen = &server.requests()[0];
    assert_eq!(seen.header("content-length"), Some("0"));
    assert_eq!(seen.header("user-agent"), Some(pilot_webhook_std::USER_AGENT));
    assert!(pilot_webhook_std::USER_AGENT.starts_with("pilot-webhook-std/"));
}

#[tokio::test]
async fn https_without_anybody_to_trust_says_so() {
    let endpoint = EndpointBuf::parse("https://127.0.0.1:1/", Policy::default()).unwrap();
    let error = post(&mut transport(), &endpoint, b"").await.unwrap_err();
    assert!(matches!(error, HttpError::NoTrustRoots));
    assert!(error.to_string().contains("CA file"), "{error}");
}
