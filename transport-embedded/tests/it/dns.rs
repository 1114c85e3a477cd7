//! Names, looked up over a real embassy-net stack, whose DNS servers are dead or know little.

use core::convert::Infallible;
use core::future::pending;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use embassy_futures::join::join;
use embassy_futures::select::select;
use embassy_net::tcp::TcpSocket;
use embassy_net::{ConfigV4, ConfigV6, Ipv6Cidr, Stack, StaticConfigV6};
use embedded_nal_async::{AddrType, Dns};
use pilot_webhook_embassy::{Options, Resources, Sntp, SntpConfig, SocketNet, WallTime};
use pilot_webhook_tests::time_server;

use crate::cable::{udp, while_served, wired};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Behind the server, which drops what is sent there.
const DEAD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The answer to a question: the server's address, or that there is none of the kind.
fn answer(question: &[u8]) -> Vec<u8> {
    const A: [u8; 4] = [0, 1, 0, 1];
    let is_known = question.ends_with(&A);
    let counts = [0, 1, 0, u8::from(is_known), 0, 0, 0, 0];
    let head = [&question[..2], &[0x81, 0x80], &counts, &question[12..]].concat();
    let record = [&[0xc0, 12], &A[..], &[0, 0, 0, 60, 0, 4], &SERVER.octets()].concat();
    [head, if is_known { record } else { Vec::new() }].concat()
}

/// Answers every question, for ever.
async fn serve_names(stack: Stack<'static>) -> Infallible {
    let socket = udp(stack, 53);
    let mut question = [0; 512];
    loop {
        let (length, client) = socket.recv_from(&mut question).await.unwrap();
        socket.send_to(&answer(&question[..length]), client.endpoint).await.unwrap();
    }
}

/// Answers every request well, for ever.
async fn serve_requests(stack: Stack<'static>) {
    let buffer = || vec![0; 1_024].leak();
    let mut socket = TcpSocket::new(stack, buffer(), buffer());
    socket.accept(8_080).await.unwrap();
    while socket.read(&mut [0; 1_024]).await.is_ok_and(|read| read > 0) {
        socket.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    }
}

/// Makes the stack ask these.
fn set_servers(stack: Stack<'_>, servers: &[Ipv4Addr]) {
    let mut config = stack.config_v4().unwrap();
    config.gateway = Some(SERVER);
    config.dns_servers = servers.iter().copied().collect();
    stack.set_config_v4(ConfigV4::Static(config));
}

/// Each attempt asked the first server again, and ended before the stack turned to the second one. With the feature
/// `dns-servers` the second one is asked within the first attempt.
#[tokio::test]
async fn of_two_dns_servers_the_first_is_dead_and_an_event_arrives() {
    let resources = Box::leak(Box::new(Resources::<1_024>::new()));
    let mut options = Options::new(1, 1);
    options.config.http_timeout = Duration::from_secs(4);
    let (webhook, mut runner) = pilot_webhook_embassy::new(resources, options).unwrap();
    webhook.set_url("http://hooks.example:8080/hook").unwrap();
    webhook.emit("t", &1).unwrap();
    wired(|stack, server| async move {
        set_servers(stack, &[DEAD, SERVER]);
        let client = async {
            webhook.drained().await;
            webhook.close().await;
        };
        let served = join(serve_names(server), serve_requests(server));
        select(join(runner.run(stack), client), served).await;
    })
    .await;
    let stats = webhook.stats();
    let attempts = if cfg!(feature = "dns-servers") { 1 } else { 3 };
    assert_eq!((stats.delivered, stats.attempts), (1, attempts), "{stats:?}");
}

/// The look-up had to end within the 5 s for the answer, so the node never knew the time.
#[tokio::test]
async fn of_two_dns_servers_the_first_is_dead_and_the_time_is_learned() {
    const NOW: Duration = Duration::from_secs(1_795_478_400);
    wired(|stack, server| async move {
        set_servers(stack, &[DEAD, SERVER]);
        let wall = WallTime::new();
        let mut sntp = Sntp::new(stack, "time.example", &wall, 7, SntpConfig::DEFAULT);
        let time = async {
            let socket = udp(server, 123);
            let mut question = [0; 64];
            let (length, client) = socket.recv_from(&mut question).await.unwrap();
            let answer = time_server::reply(&question[..length], NOW);
            socket.send_to(&answer, client.endpoint).await.unwrap();
            pending::<Infallible>().await
        };
        let told = while_served(sntp.sync(), join(serve_names(server), time)).await;
        assert_eq!(told.unwrap().seconds(), 1_795_478_400);
    })
    .await;
}

/// embassy-net's own `Dns` takes the missing IPv6 address for a failure.
#[tokio::test]
async fn with_ipv6_a_name_that_has_only_an_ipv4_address_is_found() {
    wired(|stack, server| async move {
        set_servers(stack, &[SERVER]);
        stack.set_config_v6(ConfigV6::Static(StaticConfigV6 {
            address: Ipv6Cidr::new(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1), 64),
            gateway: None,
            dns_servers: Default::default(),
        }));
        let net = SocketNet::new(stack, vec![0; 64].leak(), vec![0; 64].leak());
        let found = net.get_host_by_name("hooks.example", AddrType::Either);
        let found = while_served(found, serve_names(server)).await;
        assert_eq!(found, Ok(IpAddr::V4(SERVER)));
    })
    .await;
}
