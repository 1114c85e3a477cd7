//! Where a transport may connect to: by address, and by the address that a name resolves to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{ErrorKind, Event, Policy, Timestamp, Transport};

use super::rows;
use crate::Act::{Send, Serve};
use crate::deliver::{CONFIG, Memory, deliver};
use crate::{Authority, Names, Server, Setup, Url};

const TABLE: &str = include_str!("../../../core/tests/data/destinations.txt");
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// An address that every policy allows.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));
/// A name for the row's address.
const NAME: &str = "row.test";

/// How many destinations were tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempted {
    /// Refused by the policy, and by nothing else.
    pub refused: usize,
    /// Allowed, and dialled.
    pub dialled: usize,
    /// Allowed, and not tried: the transport would have connected to another host.
    pub left_out: usize,
}

/// Gives every destination of the table to a transport, in the URL and behind a name, under both
/// policies. `dialled` returns the addresses dialled since its last call, for a network that records
/// them and never leaves this host; with it every row can be tried.
///
/// # Panics
/// When a transport dials what it must not, or does not dial what it may.
pub async fn destinations<T: Transport<Url>>(
    make: impl Fn(&Setup) -> T,
    dialled: Option<&dyn Fn() -> Vec<IpAddr>>,
) -> Attempted {
    let ok = vec![Serve(|_| vec![Send("HTTP/1.1 204 No Content\r\n\r\n".into())])];
    let server = Server::start(vec![ok; 1_000], None).await;
    let bench = Bench { server, ca_pem: Authority::new().pem(), make, dialled };
    let mut attempted = Attempted::default();
    for row in rows(TABLE) {
        let host = row[0];
        for (policy, verdict) in [(Policy::default(), row[1]), (Policy::DENY_PRIVATE, row[2])] {
            // A host that is always refused has no endpoint that a transport could be given.
            if row[1] == "ok" {
                // What a name resolves to is no reason to refuse it, so that the name must be.
                let allowed = if policy.deny_private { PUBLIC } else { HERE };
                let address = address(host).unwrap_or(allowed);
                let names = leak(host, address);
                bench.check(host, names, policy, verdict, address, &mut attempted).await;
            }
            if let Some(address) = address(host) {
                let names = leak(NAME, address);
                bench.check(NAME, names, policy, verdict, address, &mut attempted).await;
            }
        }
    }
    attempted
}

/// The address that a host denotes, if it is one. The oracle of the notation is the system's resolver,
/// which answers numeric hosts without a query.
fn address(host: &str) -> Option<IpAddr> {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return Some(address.parse::<Ipv6Addr>().unwrap().into());
    }
    let is_number = host.starts_with(|first: char| first.is_ascii_digit());
    is_number.then(|| (host, 0).to_socket_addrs().unwrap().next().unwrap().ip())
}

/// A resolver's only answer. Endpoints have their names in lower case.
fn leak(name: &str, address: IpAddr) -> Names {
    let name: &'static str = name.to_ascii_lowercase().leak();
    Vec::leak(vec![(name, &*Vec::leak(vec![address]))])
}

struct Bench<'d, M> {
    server: Server,
    ca_pem: String,
    make: M,
    dialled: Option<&'d dyn Fn() -> Vec<IpAddr>>,
}

impl<M> Bench<'_, M> {
    async fn check<T: Transport<Url>>(
        &self,
        host: &str,
        names: Names,
        policy: Policy,
        verdict: &str,
        address: IpAddr,
        attempted: &mut Attempted,
    ) where
        M: Fn(&Setup) -> T,
    {
        let what = format!("{host} at {address} with {policy:?}, which is {verdict}");
        if verdict == "ok" && self.dialled.is_none() && !address.is_loopback() {
            attempted.left_out += 1;
            return;
        }
        let url = format!("http://{host}:{}/", self.server.address().port());
        let url = Url::parse(&url, Policy::default()).unwrap();
        let mut transport = (self.make)(&Setup { policy, ca_pem: self.ca_pem.clone(), names });
        let before = self.server.connections();
        let event = Event::new("destination", 1, Timestamp::new(0, 0));
        let delivered =
            deliver(&mut transport, url, CONFIG, None, &event, &(), Memory::UNCOUNTED).await;
        let delivered = delivered.unwrap_or_else(|error| panic!("{what}: {error}"));
        let (result, expected) = match verdict {
            "ok" if address == HERE => (Ok(Response::status(204).into()), vec![address]),
            "ok" => (Err(ErrorKind::Connect), vec![address; 3]),
            _ => (Err(ErrorKind::Refused), Vec::new()),
        };
        let attempts = if result.is_ok() { 1 } else { 3 };
        assert_eq!(delivered.attempts, vec![result; attempts], "{what}");
        assert_eq!(delivered.stats.exhausted, u64::from(result.is_err()), "{what}");
        assert_eq!(self.server.connections() - before, usize::from(result.is_ok()), "{what}");
        if let Some(dialled) = self.dialled {
            assert_eq!(dialled(), expected, "{what}");
        }
        *(if verdict == "ok" { &mut attempted.dialled } else { &mut attempted.refused }) += 1;
    }
}
