//! DHCP over a real embassy-net stack, from servers that grant nothing.

use core::convert::Infallible;
use core::net::Ipv4Addr;
use std::cell::Cell;
use std::time::Duration;

use embassy_futures::select::select;
use embassy_net::driver::Driver;
use embassy_net::{Config, Stack};
use pilot_webhook_embassy::DhcpGuard;

use crate::cable::{Port, udp, while_served, wired_as};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const LEASED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 77);

/// Kinds of messages (RFC 2132, section 9.6).
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// The answer to a request.
#[derive(Clone, Copy)]
enum Grant {
    Refuse,
    /// For so many seconds.
    Lease(u32),
}

/// The kind of a message of smoltcp's client, which puts it first.
fn kind(message: &[u8]) -> u8 {
    assert_eq!(message[240..242], [53, 1]);
    message[242]
}

fn reply(message: &[u8], kind: u8, lease: u32) -> Vec<u8> {
    let mut reply = message[..240].to_vec();
    reply[0] = 2;
    reply[16..20].copy_from_slice(&LEASED.octets());
    reply.extend([53, 1, kind, 54, 4]);
    reply.extend(SERVER.octets());
    reply.extend([1, 4, 255, 255, 255, 0, 51, 4]);
    reply.extend(lease.to_be_bytes());
    reply.push(255);
    reply
}

/// Offers an address to everybody, and answers the n-th request with `grant(n)`. Counts the discoveries.
async fn serve(
    stack: Stack<'static>,
    discoveries: &Cell<usize>,
    grant: impl Fn(usize) -> Grant,
) -> Infallible {
    let socket = udp(stack, 67);
    let mut message = [0; 1_024];
    let mut requests = 0;
    loop {
        let (length, _) = socket.recv_from(&mut message).await.unwrap();
        let message = &message[..length];
        let answer = match kind(message) {
            DISCOVER => {
                discoveries.set(discoveries.get() + 1);
                reply(message, OFFER, 3_600)
            }
            REQUEST => {
                requests += 1;
                match grant(requests - 1) {
                    Grant::Refuse => reply(message, NAK, 0),
                    Grant::Lease(seconds) => reply(message, ACK, seconds),
                }
            }
            _ => continue,
        };
        socket.send_to(&answer, (Ipv4Addr::BROADCAST, 68)).await.unwrap();
    }
}

/// How often a node asks such a server in a second.
async fn asked<D: Driver>(driver: impl FnOnce(Port) -> D, grant: Grant) -> usize {
    let discoveries = Cell::new(0);
    wired_as(Config::dhcpv4(Default::default()), driver, async |_, server| {
        let second = tokio::time::sleep(Duration::from_secs(1));
        select(second, serve(server, &discoveries, |_| grant)).await;
    })
    .await;
    discoveries.get()
}

#[tokio::test]
async fn a_server_that_grants_nothing_is_asked_again_after_a_pause() {
    for grant in [Grant::Refuse, Grant::Lease(0)] {
        let asked = asked(DhcpGuard::new, grant).await;
        assert!((1..=5).contains(&asked), "four rounds, and the first of the next: {asked}");
    }
}

/// What the guard is for. When this fails, smoltcp has learned to wait, and the guard can go.
#[tokio::test]
async fn without_the_guard_it_is_asked_without_one() {
    for grant in [Grant::Refuse, Grant::Lease(0)] {
        let asked = asked(|port| port, grant).await;
        assert!(asked > 100, "{asked}");
    }
}

#[tokio::test]
async fn a_refusal_or_two_cost_no_time() {
    let discoveries = Cell::new(0);
    let grant = |request| if request < 2 { Grant::Refuse } else { Grant::Lease(3_600) };
    let config = Config::dhcpv4(Default::default());
    let address = wired_as(config, DhcpGuard::new, async |node, server| {
        while_served(node.wait_config_up(), serve(server, &discoveries, grant)).await;
        node.config_v4().unwrap().address.address()
    });
    let address = tokio::time::timeout(Duration::from_secs(5), address).await;
    assert_eq!(address, Ok(LEASED), "{} discoveries", discoveries.get());
}
