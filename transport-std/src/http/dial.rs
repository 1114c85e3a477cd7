//! From an endpoint to a connected stream: resolve, check, connect, shake hands.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pilot_webhook_core::{Endpoint, Host, Policy, Scheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::http::config::Shared;
use crate::http::error::HttpError;
use crate::http::stream::Stream;
use crate::http::tls::server_name;

/// How long an address has to accept before the next one is tried. The last one has all the time
/// that the HTTP timeout leaves. Half a second is longer than a handshake takes across the globe,
/// and shorter than the first retransmission of a lost SYN (1 s), after which hope is small.
const CONNECT_SHARE: Duration = Duration::from_millis(500);
/// How many addresses are tried at most, so that the last one still has time within the HTTP
/// timeout of 5 s.
const MAX_ADDRESSES: usize = 6;

/// Connects to `endpoint`.
pub(crate) async fn dial(shared: &Shared, endpoint: &Endpoint<'_>) -> Result<Stream, HttpError> {
    // Before connecting: a handshake that cannot succeed need not be begun.
    let tls = match endpoint.scheme() {
        Scheme::Http => None,
        Scheme::Https => {
            let config = shared.tls.clone().ok_or(HttpError::NoTrustRoots)?;
            let name = server_name(endpoint.host()).ok_or(HttpError::ServerName)?;
            Some((TlsConnector::from(config), name))
        }
    };
    let addresses = allowed_addresses(shared, endpoint.host()).await?;
    let tcp = connect(&addresses, endpoint.port()).await?;
    // Only costs time if it fails.
    let _ = tcp.set_nodelay(true);
    match tls {
        None => Ok(Stream::Plain(tcp)),
        Some((connector, name)) => {
            let stream = connector.connect(name, tcp).await.map_err(HttpError::Tls)?;
            Ok(Stream::Tls(Box::new(stream)))
        }
    }
}

/// The addresses of `host` that the policy allows, in the order to try them. At least one.
async fn allowed_addresses(shared: &Shared, host: Host<'_>) -> Result<Vec<IpAddr>, HttpError> {
    let addresses = match host {
        Host::Address(address) => vec![address],
        Host::Name(name) => {
            shared.policy.check_name(name).map_err(HttpError::Refused)?;
            shared.resolver.resolve(name).await.map_err(HttpError::Resolve)?
        }
    };
    let mut allowed = allowed(shared.policy, &addresses)?;
    alternate(&mut allowed);
    allowed.truncate(MAX_ADDRESSES);
    Ok(allowed)
}

/// Leaves out what the policy refuses; an error when that is everything.
fn allowed(policy: Policy, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, HttpError> {
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

/// Makes the address families take turns, beginning with the resolver's choice (RFC 8305, section
/// 4), so that a broken IPv6 costs one share of the time and not all of it.
fn alternate(addresses: &mut Vec<IpAddr>) {
    let Some(first_v4) = addresses.first().map(IpAddr::is_ipv4) else { return };
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.drain(..).partition(|address| address.is_ipv4() == first_v4);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let pair = (first.next(), second.next());
        addresses.extend(pair.0.into_iter().chain(pair.1));
        if pair == (None, None) {
            return;
        }
    }
}

/// Connects to the first address that accepts.
async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, HttpError> {
    let mut result = Err(HttpError::NoAddress);
    let mut rest = addresses.iter();
    while let Some(&address) = rest.next() {
        let address = SocketAddr::new(address, port);
        let attempt = TcpStream::connect(address);
        let outcome = if rest.as_slice().is_empty() {
            attempt.await
        } else {
            let elapsed = |_| Err(io::ErrorKind::TimedOut.into());
            timeout(CONNECT_SHARE, attempt).await.unwrap_or_else(elapsed)
        };
        result = outcome.map_err(|error| HttpError::Connect { address, error });
        if result.is_ok() {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_the_resolvers_choice() {
        let mut mixed = addresses(&["::2", "::3", "::4", "1.1.1.1", "2.2.2.2"]);
        alternate(&mut mixed);
        assert_eq!(mixed, addresses(&["::2", "1.1.1.1", "::3", "2.2.2.2", "::4"]));
        let mut single = addresses(&["1.1.1.1", "2.2.2.2"]);
        alternate(&mut single);
        assert_eq!(single, addresses(&["1.1.1.1", "2.2.2.2"]));
        alternate(&mut Vec::new());
    }

    #[test]
    fn refused_addresses_are_skipped_and_only_refused_if_all_are() {
        let mixed = addresses(&["169.254.169.254", "127.0.0.1"]);
        assert_eq!(allowed(Policy::default(), &mixed).unwrap(), addresses(&["127.0.0.1"]));
        let refused = allowed(Policy::DENY_PRIVATE, &mixed);
        assert!(matches!(refused, Err(HttpError::Refused(_))));
        assert!(matches!(allowed(Policy::default(), &[]), Err(HttpError::NoAddress)));
    }
}
