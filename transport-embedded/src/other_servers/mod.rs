//! The DNS servers after the first one, which are asked when that is silent. smoltcp turns to the next server after
//! 10 s, and an attempt is over before.

mod message;

use core::future::pending;

use embassy_net::dns::DnsQueryType;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{IpAddress, IpEndpoint, Stack};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use heapless::Vec;
use message::Question;

/// The most addresses of a name. Arbitrary: more than are tried.
pub(crate) const ADDRESSES: usize = 4;
/// Addresses of a name.
pub(crate) type Addresses = Vec<IpAddress, ADDRESSES>;

const PORT: u16 = 53;
/// How long a server may be silent before the next one is asked. What smoltcp waits before it asks again; a fifth of the
/// usual HTTP timeout.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest answer over UDP that a server sends unasked for more (RFC 1035, section 4.2.1).
const ANSWER: usize = 512;

/// Asks them in turn, again and again, once the first one was silent for a second. Never returns if there are none, or none
/// answers: it goes with a query of the stack, which has an end.
pub(crate) async fn ask(stack: Stack<'_>, name: &str, kind: DnsQueryType) -> Addresses {
    Timer::after(PATIENCE).await;
    match try_ask(stack, name, kind).await {
        Some(found) => found,
        None => pending().await,
    }
}

async fn try_ask(stack: Stack<'_>, name: &str, kind: DnsQueryType) -> Option<Addresses> {
    let servers = others(stack);
    if servers.is_empty() {
        return None;
    }
    let (mut rx_meta, mut tx_meta) = ([PacketMetadata::EMPTY; 2], [PacketMetadata::EMPTY; 1]);
    let (mut rx, mut tx) = ([0; ANSWER], [0; ANSWER]);
    let mut socket = UdpSocket::new(stack, &mut rx_meta, &mut rx, &mut tx_meta, &mut tx);
    // A port that changes with each question.
    socket.bind(0).ok()?;
    let question = Question::new(id(Instant::now(), socket.endpoint().port), name, kind)?;
    for server in servers.iter().cycle() {
        // A server without a route is one that does not answer.
        let _ = socket.send_to(question.bytes(), IpEndpoint::new(*server, PORT)).await;
        let answer = answer(&mut socket, &servers, &question);
        if let Ok(found) = with_timeout(PATIENCE, answer).await {
            return Some(found);
        }
    }
    None
}

/// The first answer by one of them. Any host can send something else.
async fn answer(
    socket: &mut UdpSocket<'_>,
    servers: &[IpAddress],
    question: &Question,
) -> Addresses {
    loop {
        let found = socket
            .recv_from_with(|bytes, from| {
                let is_one = from.endpoint.port == PORT && servers.contains(&from.endpoint.addr);
                question.addresses(bytes).filter(|_| is_one)
            })
            .await;
        if let Some(found) = found {
            return found;
        }
    }
}

/// All servers but the first.
fn others(stack: Stack<'_>) -> Vec<IpAddress, 6> {
    let v4 = stack.config_v4().map(|config| config.dns_servers).unwrap_or_default();
    let servers = v4.into_iter().map(IpAddress::Ipv4);
    #[cfg(feature = "proto-ipv6")]
    let servers = {
        let v6 = stack.config_v6().map(|config| config.dns_servers).unwrap_or_default();
        servers.chain(v6.into_iter().map(IpAddress::Ipv6))
    };
    servers.skip(1).collect()
}

/// What an answer must repeat. The time since boot in microseconds, mixed with the port, which comes from the stack's
/// seed: one off the path has to guess both.
fn id(now: Instant, port: u16) -> u16 {
    let seed = now.as_micros() ^ u64::from(port) << 48;
    // SplitMix64's mixing; see `Sntp`.
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed.to_be_bytes().first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes))
}
