//! `SocketNet` over a real embassy-net stack, joined by a cable of memory to the server's stack.
//!
//! Most tests are about what the server sees when a connection is given up: embassy-net's own client sends
//! nothing then.

use std::time::Duration;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_net::{ConfigV4, Stack};
use pilot_webhook_core::http::{Malformed, Response};
use pilot_webhook_core::{EndpointBuf, ErrorKind, Message, Policy, Reply, Transport, Verdict};
use pilot_webhook_embassy::{
    Buffers, Error, FixedHeaders, NodeTransport, Options, Resources, Runner, SocketNet, Target,
    Webhook,
};

use crate::cable::wired;
use tokio::sync::Notify;

const URL: &str = "http://10.0.0.2:8080/hook";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn node(stack: Stack<'static>) -> NodeTransport<'static, SocketNet<'static>> {
    let net = SocketNet::new(stack, vec![0; 1_024].leak(), vec![0; 1_024].leak());
    let buffers = Box::leak(Box::new(Buffers::<1_024>::new()));
    NodeTransport::new(Box::leak(Box::new(net)), buffers, Policy::default())
}

async fn post(
    node: &mut NodeTransport<'static, SocketNet<'static>>,
    body: &[u8],
) -> Result<Reply, Error> {
    let endpoint = EndpointBuf::<64>::parse(URL, Policy::default()).unwrap();
    node.send(&endpoint, &Message::new(&[], body)).await
}

fn listener(stack: Stack<'static>) -> TcpSocket<'static> {
    TcpSocket::new(stack, vec![0; 4_096].leak(), vec![0; 4_096].leak())
}

/// Reads one request. `None` when the client has closed or reset the connection.
async fn read_request(socket: &mut TcpSocket<'_>) -> Option<usize> {
    let mut text = Vec::new();
    let mut piece = [0; 512];
    loop {
        match socket.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => text.extend_from_slice(&piece[..read]),
        }
        let head = String::from_utf8_lossy(&text);
        if let Some((head, body)) = head.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.unwrap().parse().unwrap();
            if body.len() >= length {
                return Some(length);
            }
        }
    }
}

/// Serves `connections` one after the other on one socket, each until the client ends it: if the
/// client did not, the next one would never be accepted. Returns the number of requests.
async fn serve(mut socket: TcpSocket<'_>, connections: usize, answer: &[u8]) -> usize {
    let mut requests = 0;
    for _ in 0..connections {
        socket.accept(8_080).await.unwrap();
        while read_request(&mut socket).await.is_some() {
            requests += 1;
            if !answer.is_empty() && socket.write(answer).await.is_err() {
                break;
            }
        }
        socket.abort();
        let _ = socket.flush().await;
    }
    requests
}

/// Accepts so many connections, one after the other. Reads a request of each, does `then`, and waits
/// until the client has ended the connection.
async fn serve_one_each(
    stack: Stack<'static>,
    connections: usize,
    then: impl AsyncFn(&mut TcpSocket<'_>),
) {
    let mut socket = listener(stack);
    for _ in 0..connections {
        socket.accept(8_080).await.unwrap();
        assert_eq!(read_request(&mut socket).await, Some(2));
        then(&mut socket).await;
        assert_eq!(read_request(&mut socket).await, None);
        socket.abort();
        let _ = socket.flush().await;
    }
}

/// Runs a webhook towards a server that answers well, until `client` has closed it.
async fn run_with(
    runner: &mut Runner,
    [stack, server]: [Stack<'static>; 2],
    client: impl Future<Output = ()>,
) {
    let node = join(runner.run(stack), client);
    let server = serve(listener(server), usize::MAX, OK);
    assert!(matches!(select(node, server).await, Either::First(((), ()))));
}

#[tokio::test]
async fn one_connection_carries_posts_of_all_sizes_and_ends_in_order() {
    wired(|stack, server| async move {
        let client = async {
            let mut node = node(stack);
            for size in [0, 1, 1_000, 10_000, 100_000] {
                let body = vec![b'x'; size];
                assert_eq!(post(&mut node, &body).await, Ok(Response::status(200).into()));
            }
            node.disconnect();
        };
        let server = async {
            let mut socket = listener(server);
            socket.accept(8_080).await.unwrap();
            for size in [0, 1, 1_000, 10_000, 100_000] {
                assert_eq!(read_request(&mut socket).await, Some(size));
                socket.write(OK).await.unwrap();
            }
            // A FIN, not a reset.
            assert_eq!(socket.read(&mut [0]).await, Ok(0));
        };
        join(client, server).await;
    })
    .await;
}

#[tokio::test]
async fn the_server_hears_of_every_connection_that_is_given_up() {
    wired(|stack, server| async move {
        const ROUNDS: usize = 300;
        let client = async {
            let mut node = node(stack);
            for round in 0..ROUNDS {
                let result = post(&mut node, b"{}").await;
                let malformed = Err(Error::Malformed(Malformed::StatusLine));
                assert_eq!(result, malformed, "round {round}");
            }
        };
        // Half of it is left unread by the client.
        let answer = [b"nonsense\r\n".repeat(50)].concat();
        let served = serve(listener(server), ROUNDS, &answer);
        let ((), requests) = join(client, served).await;
        assert_eq!(requests, ROUNDS);
    })
    .await;
}

#[tokio::test]
async fn the_server_hears_of_a_post_that_is_dropped() {
    wired(|stack, server| async move {
        const POSTS: usize = 10;
        let arrived = Notify::new();
        let client = async {
            let mut node = node(stack);
            for _ in 0..POSTS {
                // The server never answers.
                let ended = select(post(&mut node, b"{}"), arrived.notified()).await;
                assert!(matches!(ended, Either::Second(())));
            }
        };
        let server = serve_one_each(server, POSTS, async |_| arrived.notify_one());
        join(client, server).await;
    })
    .await;
}

#[tokio::test]
async fn nobody_listens_and_then_somebody_does() {
    wired(|stack, server| async move {
        let mut node = node(stack);
        for _ in 0..5 {
            let refused = Err(Error::Connect(embedded_io_async::ErrorKind::ConnectionRefused));
            assert_eq!(post(&mut node, b"{}").await, refused);
        }
        let client = async {
            assert_eq!(post(&mut node, b"{}").await, Ok(Response::status(200).into()));
            node.disconnect();
        };
        join(client, serve(listener(server), 1, OK)).await;
    })
    .await;
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_costs_no_attempt() {
    wired(|stack, server| async move {
        let client = async {
            let mut node = node(stack);
            for _ in 0..10 {
                assert_eq!(post(&mut node, b"{}").await, Ok(Response::status(200).into()));
                // The FIN arrives.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let server = serve_one_each(server, 10, async |socket| {
            socket.write(OK).await.unwrap();
            socket.close();
        });
        join(client, server).await;
    })
    .await;
}

/// The buffer of a POST is as long as the longest event, and a batch needs two bytes more: events
/// that just fitted were taken and then abandoned.
#[tokio::test]
async fn with_batches_every_event_that_is_taken_is_sent() {
    let resources = Box::leak(Box::new(Resources::<4_096, (), 200>::new()));
    let mut options = Options::new(1, 1);
    options.config.batch = 2;
    let (webhook, mut runner) = pilot_webhook_embassy::new(resources, options).unwrap();
    wired(|stack, server| async move {
        webhook.set_url(URL).unwrap();
        let client = async {
            // Stamps are of several lengths, so all of the lengths around the limit are tried thrice.
            for length in (90..140).flat_map(|length| [length; 3]) {
                let _ = webhook.emit_when_room("t", "x".repeat(length).as_str()).await;
            }
            webhook.drained().await;
            webhook.close().await;
        };
        run_with(&mut runner, [stack, server], client).await;
    })
    .await;
    let stats = webhook.stats();
    assert_eq!(stats.abandoned, 0, "{stats:?}");
    assert_eq!(stats.delivered + stats.oversize, 150, "{stats:?}");
    assert!(stats.delivered > 0 && stats.oversize > 0, "{stats:?}");
}

/// A webhook with room for one event, and that event.
fn webhook(set: impl FnOnce(&mut Options)) -> (Webhook, Runner) {
    let resources = Box::leak(Box::new(Resources::<1_024, (), 200>::new()));
    let mut options = Options::new(1, 1);
    options.config.capacity = 1;
    set(&mut options);
    let (webhook, runner) = pilot_webhook_embassy::new(resources, options).unwrap();
    webhook.set_url(URL).unwrap();
    webhook.emit("t", &1).unwrap();
    (webhook, runner)
}

#[tokio::test]
async fn fixed_headers_are_in_every_message() {
    struct Modem(Vec<(String, String)>);

    impl Transport<Target> for Modem {
        type Error = ErrorKind;

        async fn send(&mut self, _: &Target, message: &Message<'_>) -> Result<Reply, ErrorKind> {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            self.0.extend(message.headers.iter().map(owned));
            Ok(Reply { verdict: Verdict::Accepted, code: 1 })
        }
    }

    let (webhook, mut runner) = {
        let headers = FixedHeaders::new(&[("X-Key", "k")]).unwrap();
        webhook(|options| options.signer = Box::leak(Box::new(headers)))
    };
    let mut modem = Modem(Vec::new());
    join(runner.run_over(&mut modem), webhook.close()).await;
    assert!(modem.0.contains(&("X-Key".to_owned(), "k".to_owned())), "{:?}", modem.0);
}

/// A modem that takes every message itself.
#[tokio::test]
async fn a_runner_delivers_over_a_transport_of_ones_own() {
    struct Modem(Vec<(String, String)>);

    impl Transport<Target> for Modem {
        type Error = ErrorKind;

        async fn send(&mut self, to: &Target, message: &Message<'_>) -> Result<Reply, ErrorKind> {
            let body = String::from_utf8(message.body.to_vec()).unwrap();
            self.0.push((to.get().url().to_owned(), body));
            Ok(Reply { verdict: Verdict::Accepted, code: 1 })
        }
    }

    let (webhook, mut runner) = webhook(|_| ());
    let mut modem = Modem(Vec::new());
    join(runner.run_over(&mut modem), webhook.close()).await;
    assert_eq!(webhook.stats().delivered, 1);
    let [(url, body)] = &modem.0[..] else { panic!("{:?}", modem.0) };
    assert_eq!(url, URL);
    assert!(body.contains("\"event\":\"t\""), "{body}");
}

/// The executor is blocked past the HTTP timeout, by a TLS handshake say. When it goes on, the worker may
/// come before the network's task, which has the answer: it was not read, and the receiver got the event
/// again.
#[tokio::test]
async fn an_answer_that_arrived_while_the_executor_was_blocked_counts() {
    let timeout = Duration::from_millis(500);
    let (webhook, mut runner) = webhook(|options| options.config.http_timeout = timeout);
    wired(|stack, server| async move {
        let server = async {
            let mut socket = listener(server);
            socket.accept(8_080).await.unwrap();
            assert!(read_request(&mut socket).await.is_some());
            socket.write(OK).await.unwrap();
            // The server's stack puts the answer on the cable.
            embassy_futures::yield_now().await;
            std::thread::sleep(timeout);
            webhook.drained().await;
            webhook.close().await;
        };
        join(server, runner.run(stack)).await;
    })
    .await;
    let stats = webhook.stats();
    assert_eq!((stats.delivered, stats.attempts), (1, 1), "{stats:?}");
}

/// Three attempts were over before DHCP was done.
#[tokio::test]
async fn without_a_network_configuration_events_wait_and_no_attempt_is_counted() {
    let (webhook, mut runner) = webhook(|_| ());
    wired(|stack, server| async move {
        let address = stack.config_v4().unwrap();
        stack.set_config_v4(ConfigV4::None);
        let client = async {
            // Time for several looks at the stack.
            tokio::time::sleep(Duration::from_millis(600)).await;
            // A queue that is full loses nothing by being looked at.
            let stats = webhook.stats();
            assert_eq!((stats.queued, stats.attempts, stats.dropped), (1, 0, 0), "{stats:?}");
            stack.set_config_v4(ConfigV4::Static(address));
            webhook.drained().await;
            webhook.close().await;
        };
        run_with(&mut runner, [stack, server], client).await;
    })
    .await;
    let stats = webhook.stats();
    assert_eq!((stats.delivered, stats.attempts), (1, 1), "{stats:?}");
}

#[tokio::test]
async fn without_a_network_configuration_a_close_ends_in_its_time() {
    let drain_timeout = Duration::from_millis(100);
    let (webhook, mut runner) = webhook(|options| options.config.drain_timeout = drain_timeout);
    wired(|stack, _| async move {
        stack.set_config_v4(ConfigV4::None);
        join(runner.run(stack), webhook.close()).await;
    })
    .await;
    let stats = webhook.stats();
    assert_eq!((stats.delivered, stats.queued, stats.in_flight), (0, 0, 0), "{stats:?}");
}
