//! How a client finds its receiver: names with several addresses, of which some are silent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use pilot_webhook_core::{EndpointBuf, ErrorKind, Message, Notice, Policy, SendTransport as _};
use pilot_webhook_std::{Client, HttpConfig, HttpTransport, Resolve, Resolving};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::unbounded_channel;

const SILENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ALIVE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Knows both addresses, whatever it is asked.
struct Both;

impl Resolve for Both {
    fn resolve<'a>(&'a self, _host: &'a str) -> Resolving<'a> {
        Box::pin(async { Ok(vec![SILENT, ALIVE]) })
    }
}

/// An address whose connections are neither accepted nor refused: its backlog is full.
struct Silent {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Silent {
    async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(SILENT, 0)).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        let patience = Duration::from_millis(100);
        while let Ok(stream) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
            waiting.push(stream.unwrap());
        }
        Self { address, _listener: listener, _waiting: waiting }
    }
}

/// How many connections are made, one after another.
const CONNECTIONS: usize = 5;

/// Answers one request on each connection.
async fn serve(listener: TcpListener) {
    for _ in 0..CONNECTIONS {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"body") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    }
}

#[tokio::test]
async fn a_silent_address_costs_its_hosts_first_connection_and_no_other() {
    let silent = Silent::start().await;
    let port = silent.address.port();
    let server = tokio::spawn(serve(TcpListener::bind((ALIVE, port)).await.unwrap()));
    let http = HttpConfig::new().system_roots(false).resolver(Both).build().unwrap();
    let url = format!("http://receiver.test:{port}/");
    let endpoint = EndpointBuf::<64>::parse(&url, Policy::default()).unwrap();
    let mut times = Vec::new();
    for _ in 0..CONNECTIONS {
        // What worked is known to all of a client's transports.
        let mut transport = HttpTransport::new(&http);
        let begin = Instant::now();
        assert_eq!(transport.send(&endpoint, &Message::new(&[], b"body")).await.unwrap().code, 200);
        times.push(begin.elapsed());
    }
    server.await.unwrap();
    let quarter = Duration::from_millis(250);
    // (A busy machine is slow at times.)
    assert!(times[0] >= quarter && times[1..].iter().any(|time| *time < quarter), "{times:?}");
}

/// Builds a client with a timeout of 100 ms, and says what its first attempt ended with.
async fn first_failure(url: String, http: HttpConfig) -> (ErrorKind, String) {
    let (tell, mut told) = unbounded_channel();
    let client = Client::builder(url)
        .http(http.system_roots(false))
        .http_timeout(Duration::from_millis(100))
        .on_notice(move |notice| {
            if let Notice::Attempt { result: Err(error), .. } = notice {
                tell.send((error.kind(), error.to_string())).unwrap();
            }
        })
        .build()
        .unwrap();
    client.emit("t", &()).unwrap();
    told.recv().await.unwrap()
}

/// It was called a timeout, and HTTP's.
#[tokio::test]
async fn a_client_whose_receiver_is_silent_says_that_nobody_accepted() {
    let silent = Silent::start().await;
    let failure = first_failure(format!("http://{}/", silent.address), HttpConfig::new()).await;
    let text = format!("no connection to {}: timed out", silent.address);
    assert_eq!(failure, (ErrorKind::Connect, text));
}

/// It was called a timeout, and HTTP's.
#[tokio::test]
async fn a_client_whose_resolver_is_silent_says_that_the_name_did_not_resolve() {
    struct Mute;
    impl Resolve for Mute {
        fn resolve<'a>(&'a self, _host: &'a str) -> Resolving<'a> {
            Box::pin(std::future::pending())
        }
    }
    let http = HttpConfig::new().resolver(Mute);
    let failure = first_failure("http://receiver.test/?token=secret".into(), http).await;
    let text = "the look-up of receiver.test did not end within the timeout".to_owned();
    assert_eq!(failure, (ErrorKind::Resolve, text));
}
