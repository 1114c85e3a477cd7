//! The transport over reqwest through a proxy, good and bad, and with a client of the user's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use pilot_webhook_core::{EndpointBuf, TransportError as _};
use pilot_webhook_std::{
    ErrorKind, HttpConfig, HttpError, HttpShared, Message, Policy, Proxy, Reply, ReqwestTransport,
    SendTransport as _, Verdict,
};
use pilot_webhook_tests::{Act, Authority, Certificate, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::transports::{CaFile, Names};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A proxy on loopback. It takes every name for this machine, and remembers the heads of requests.
struct Carrier {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Carrier {
    /// One that carries.
    async fn start() -> Self {
        Self::answering("").await
    }

    /// One that answers this to everything, if it is something.
    async fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let (address, heads) = (listener.local_addr().unwrap(), Arc::default());
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(stream, answer, Arc::clone(&seen)));
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn proxy(&self) -> Proxy {
        Proxy::new(&format!("http://user:s3cret@{}", self.address)).unwrap()
    }
}

async fn carry(mut client: TcpStream, answer: &str, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let text = String::from_utf8(head).unwrap();
    heads.lock().unwrap().push(text.clone());
    if !answer.is_empty() {
        client.write_all(answer.as_bytes()).await.unwrap();
        return;
    }
    let target = text.split(' ').nth(1).unwrap();
    let authority = target.trim_start_matches("http://").split('/').next().unwrap();
    let port: u16 = authority.rsplit_once(':').unwrap().1.parse().unwrap();
    let Ok(mut server) = TcpStream::connect((LOOPBACK, port)).await else {
        client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        return;
    };
    if text.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    } else {
        server.write_all(text.as_bytes()).await.unwrap();
    }
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

/// What trusts an authority, with these names.
fn shared(
    authority: &Authority,
    names: Names,
    with: impl FnOnce(HttpConfig) -> HttpConfig,
) -> HttpShared {
    let ca = CaFile::new(&authority.pem());
    let config = HttpConfig::new().system_roots(false).ca_file(ca.path()).resolver(names);
    with(config).build().unwrap()
}

fn through(authority: &Authority, proxy: Proxy) -> HttpShared {
    shared(authority, Names(&[]), |config| config.proxy(proxy))
}

async fn post(shared: &HttpShared, url: &str) -> Result<Reply, HttpError> {
    send(&mut ReqwestTransport::new(shared), url).await
}

async fn send(transport: &mut ReqwestTransport, url: &str) -> Result<Reply, HttpError> {
    let endpoint = EndpointBuf::<128>::parse(url, Policy::default()).unwrap();
    transport.send(&endpoint, &Message::new(&[("X-Pilot-Message-Id", "1")], b"{}")).await
}

/// It failed, it is the proxy's fault, and its credentials are not told.
#[track_caller]
fn expect_fault(result: Result<Reply, HttpError>, carrier: &SocketAddr, words: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("the proxy http://{carrier} ")), "{text}");
    assert!(text.contains(words) && !text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn plain_requests_go_through_the_proxy_which_resolves_their_name() {
    let (authority, carrier) = (Authority::new(), Carrier::start().await);
    let server = Server::start(vec![vec![Act::Read, Act::Send(OK.into())]], None).await;
    let shared = through(&authority, carrier.proxy());
    let url = format!("http://receiver.test:{}/hook", server.address().port());
    assert_eq!(post(&shared, &url).await.unwrap().code, 200);
    let heads = carrier.heads();
    assert!(heads[0].starts_with(&format!("POST {url} HTTP/1.1\r\n")), "{heads:?}");
    let head = heads[0].to_ascii_lowercase();
    assert!(head.contains("proxy-authorization: basic dxnlcjpzm2nyzxq="), "{heads:?}");
    assert_eq!(server.requests()[0].body, b"{}");
}

#[tokio::test]
async fn encrypted_requests_go_through_a_tunnel_and_the_server_is_verified() {
    let (authority, carrier) = (Authority::new(), Carrier::start().await);
    for (certificate, is_good) in [(Certificate::Good, true), (Certificate::Untrusted, false)] {
        let tls = Some(authority.server(certificate));
        let server = Server::start(vec![vec![Act::Read, Act::Send(OK.into())]], tls).await;
        let shared = through(&authority, carrier.proxy());
        let port = server.address().port();
        let result = post(&shared, &format!("https://receiver.test:{port}/hook")).await;
        match result {
            Ok(reply) => assert!(is_good && reply.code == 200, "{certificate:?}"),
            // The endpoint's fault, and not the proxy's.
            Err(error) => assert!(!is_good && error.kind() == ErrorKind::Tls, "{error}"),
        }
        let head = carrier.heads().pop().unwrap();
        assert!(head.starts_with(&format!("CONNECT receiver.test:{port} HTTP/1.1\r\n")), "{head}");
        assert!(!head.contains("hook") && !head.contains("X-Pilot"), "{head}");
    }
}

#[tokio::test]
async fn faults_of_the_proxy_are_told_from_those_of_the_endpoint() {
    let authority = Authority::new();
    let wants = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let refuses = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    for (answer, url, words) in [
        (wants, "http://receiver.test/", "asks for credentials"),
        (wants, "https://receiver.test/", "asks for credentials"),
        (refuses, "https://receiver.test/", "does not connect to the endpoint"),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "https://receiver.test/", "does not connect"),
    ] {
        let carrier = Carrier::answering(answer).await;
        let shared = through(&authority, carrier.proxy());
        expect_fault(post(&shared, url).await, &carrier.address, words);
    }
    let down = Server::refusing().address();
    let proxy = Proxy::new(&format!("http://user:s3cret@{down}")).unwrap();
    let shared = through(&authority, proxy);
    for url in ["http://receiver.test/", "https://receiver.test/"] {
        expect_fault(post(&shared, url).await, &down, "refused");
    }
    let unknown = Proxy::new("http://proxy.test:3128").unwrap();
    let shared = through(&authority, unknown);
    let error = post(&shared, "http://receiver.test/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(
        error.to_string().starts_with("the proxy http://proxy.test:3128 cannot be found"),
        "{error}"
    );

    // The proxy says for plain HTTP that the endpoint does not answer.
    let carrier = Carrier::start().await;
    let shared = through(&authority, carrier.proxy());
    let reply = post(&shared, &format!("http://{down}/")).await.unwrap();
    assert_eq!((reply.code, reply.verdict), (502, Verdict::Later(None)));
}

#[tokio::test]
async fn the_policy_is_asked_before_the_proxy_and_does_not_count_for_the_proxy_itself() {
    let (authority, carrier) = (Authority::new(), Carrier::start().await);
    let server = Server::start(vec![vec![Act::Read, Act::Send(OK.into())]], None).await;
    let proxy = Proxy::new(&format!("http://proxy.test:{}", carrier.address.port())).unwrap();
    let names = Names(&[("proxy.test", &[LOOPBACK])]);
    let shared =
        shared(&authority, names, |config| config.policy(Policy::DENY_PRIVATE).proxy(proxy));
    for url in ["http://10.0.0.1/", "http://127.0.0.1/", "http://localhost/", "https://[::1]/"] {
        let error = post(&shared, url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{url}: {error}");
    }
    assert_eq!(carrier.heads(), Vec::<String>::new());
    let url = format!("http://receiver.test:{}/", server.address().port());
    assert_eq!(post(&shared, &url).await.unwrap().code, 200);
}

#[tokio::test]
async fn a_client_of_the_users_own_follows_no_redirects_and_asks_our_resolver() {
    let authority = Authority::new();
    let redirect = b"HTTP/1.1 307 Elsewhere\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
    let scripts = vec![vec![Act::Read, Act::Send(redirect.to_vec())]];
    let server = Server::start(scripts, None).await;
    let names = Names(&[("receiver.test", &[LOOPBACK])]);
    let shared = shared(&authority, names, |config| config);
    let follow = reqwest::redirect::Policy::limited(5);
    let builder = reqwest::Client::builder().no_proxy().redirect(follow);
    let mut transport = ReqwestTransport::with_client(&shared, builder);
    let url = format!("http://receiver.test:{}/", server.address().port());
    let reply = send(&mut transport, &url).await.unwrap();
    assert_eq!((reply.code, reply.verdict), (307, Verdict::Refused));
    assert_eq!(server.request_count(), 1);
}

#[tokio::test]
async fn a_receiver_that_must_be_asked_is_asked_once_before() {
    let authority = Authority::new();
    let consent = b"HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: *\r\nContent-Length: 0\r\n\r\n";
    let answers = [&consent[..], OK, OK];
    let scripts = answers.map(|answer| vec![Act::Read, Act::Send(answer.to_vec())]);
    let server = Server::start(scripts.into(), None).await;
    let carrier = Carrier::start().await;
    let shared = shared(&authority, Names(&[]), |config| {
        config.proxy(carrier.proxy()).handshake("pilot.example.org")
    });
    let mut transport = ReqwestTransport::new(&shared);
    let url = format!("http://receiver.test:{}/", server.address().port());
    for _ in 0..2 {
        assert_eq!(send(&mut transport, &url).await.unwrap().code, 200);
    }
    let requests = server.requests();
    let methods: Vec<_> = requests.iter().map(|seen| seen.head.split(' ').next()).collect();
    assert_eq!(methods, [Some("OPTIONS"), Some("POST"), Some("POST")]);
    assert_eq!(requests[0].header("WebHook-Request-Origin"), Some("pilot.example.org"));
}
