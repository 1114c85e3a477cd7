//! From an endpoint to a connected stream: resolve, check, connect, shake hands.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pilot_webhook_core::{Endpoint, Host, Policy};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::http::attempt::Attempt;
use crate::http::config::Shared;
use crate::http::connect::connect;
use crate::http::error::HttpError;
use crate::http::race::Race;
use crate::http::stream::Stream;
use crate::http::tls::server_name;

/// The most addresses of a name that are tried, against hostile DNS answers. Arbitrary: more than any
/// receiver has.
const MAX_ADDRESSES: usize = 32;

/// Connects to `endpoint`. When no address accepts in the time of [`Shared::dial_time`], counted from
/// the attempt's beginning, that is an error; the TLS handshake is bounded by the caller's timeout only.
pub(crate) async fn dial(
    shared: &Shared,
    endpoint: &Endpoint<'_>,
    attempt: &mut Attempt<'_>,
) -> Result<Stream, HttpError> {
    // Before connecting: a handshake that cannot succeed need not be begun.
    let tls = if endpoint.scheme().is_tls() {
        let Some(tls) = shared.trust.tls() else {
            shared.trust.doubt(Instant::now());
            return Err(HttpError::NoTrustRoots);
        };
        let name = server_name(endpoint.host()).ok_or(HttpError::ServerName)?;
        Some((TlsConnector::from(attempt.config(tls)), name))
    } else {
        None
    };
    let tcp = reach(shared, endpoint, attempt, TcpStream::connect).await?;
    // Only costs time if it fails.
    let _ = tcp.set_nodelay(true);
    match tls {
        None => Ok(Stream::Plain(tcp)),
        Some((connector, name)) => {
            let handshake = connector.connect(name, tcp).await.map_err(HttpError::Tls);
            attempt.shook(handshake.as_ref().ok().map(|stream| stream.get_ref().1));
            Ok(Stream::tls(handshake?))
        }
    }
}

/// What the first address to accept is opened as.
async fn reach<T, F: Future<Output = io::Result<T>>>(
    shared: &Shared,
    endpoint: &Endpoint<'_>,
    attempt: &mut Attempt<'_>,
    open: impl Fn(SocketAddr) -> F,
) -> Result<T, HttpError> {
    let port = endpoint.port();
    let (name, found) = match endpoint.host() {
        Host::Address(address) => (None, Arc::from([address])),
        Host::Name(name) => (Some(name), look_up(shared, name, attempt).await?),
    };
    attempt.resolved();
    let now = Instant::now();
    let known = name.filter(|_| !attempt.fresh).and_then(|name| shared.known.get(name, port, now));
    let addresses = in_order(allowed(shared.policy, &found)?, known);
    let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
    let mut race = Race::new(addresses, now, attempt.until());
    let winner = connect(&mut race, open).await;
    if let Some(name) = name {
        let address = winner.as_ref().map(|(address, _)| address.ip());
        shared.known.set(name, port, address, Instant::now());
    }
    match (winner, race.into_failure()) {
        (Some((address, stream)), _) => {
            attempt.connected(address);
            Ok(stream)
        }
        (None, Some((address, error))) => Err(HttpError::Connect { address, error }),
        (None, None) => Err(HttpError::NoAddress),
    }
}

/// The addresses of `name`, in the time of the attempt.
async fn look_up(
    shared: &Shared,
    name: &str,
    attempt: &mut Attempt<'_>,
) -> Result<Arc<[IpAddr]>, HttpError> {
    shared.policy.check_name(name).map_err(HttpError::Refused)?;
    attempt.look_up();
    let found = timeout_at(attempt.until(), shared.look_ups.addresses(name)).await;
    let found = found.map_err(|_| HttpError::LookUpTimedOut { name: name.into() })?;
    let found = found.map_err(HttpError::Resolve)?;
    if attempt.found() {
        // The next attempt should not begin with the same wait.
        shared.look_ups.keep(name, &found);
    }
    Ok(found)
}

/// Removes the addresses that the policy refuses; an error when none is left.
pub(crate) fn allowed(policy: Policy, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, HttpError> {
    let mut refusal = None;
    let mut allowed = Vec::with_capacity(addresses.len());
    for &address in addresses {
        match policy.check(address) {
            Ok(()) => allowed.push(address),
            Err(reason) => refusal = refusal.or(Some(reason)),
        }
    }
    match refusal {
        _ if !allowed.is_empty() => Ok(allowed),
        Some(reason) => Err(HttpError::Refused(reason)),
        None => Err(HttpError::NoAddress),
    }
}

/// The addresses in the order to try them, each once: first the one that is known to work, if the
/// resolver still names it, then the families in turns, beginning with the resolver's choice (RFC 8305,
/// section 4).
fn in_order(mut addresses: Vec<IpAddr>, known: Option<IpAddr>) -> Vec<IpAddr> {
    // Stable, so that what is not known stays as the resolver sorted it.
    addresses.sort_by_key(|address| Some(*address) != known);
    let Some(is_v4) = addresses.first().map(IpAddr::is_ipv4) else { return addresses };
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == is_v4);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = (first.next(), second.next());
        for address in pair.0.into_iter().chain(pair.1) {
            if ordered.len() < MAX_ADDRESSES && !ordered.contains(&address) {
                ordered.push(address);
            }
        }
        if pair == (None, None) || ordered.len() == MAX_ADDRESSES {
            return ordered;
        }
    }
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
