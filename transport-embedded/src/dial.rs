//! From an endpoint to a connected socket: resolve, check, connect.

use core::net::{IpAddr, SocketAddr};
use core::pin::pin;

use embassy_time::{Duration, Instant, TimeoutError, with_timeout};
use embedded_io_async::Error as _;
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use pilot_webhook_core::{Endpoint, Host, Policy};

use crate::error::Error;
use crate::fmt::debug;

/// How long the first address may be silent before the name's address of the other family gets its turn.
/// Time for two SYNs, and it leaves more than half of the usual HTTP timeout of 5 s.
const FIRST_SHARE: Duration = Duration::from_secs(2);
/// How long the family that answered is preferred. Arbitrary: a network that lost a family seldom gets it
/// back sooner.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// Makes connections, and remembers which address family works.
pub(crate) struct Dialer<'b, N> {
    network: Network<'b, N>,
    /// The preferred family, and until when it is.
    preferred: Option<(Family, Instant)>,
}

/// The network, with the policy applied to every address.
struct Network<'b, N> {
    net: &'b N,
    policy: Policy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

impl<'b, N: TcpConnect + Dns> Dialer<'b, N> {
    pub(crate) const fn new(net: &'b N, policy: Policy) -> Self {
        Self { network: Network { net, policy }, preferred: None }
    }

    /// Connects to the endpoint's address. If that fails or stays silent, connects to the name's address of
    /// the other family: `Dns` returns one address at a time.
    ///
    /// A family that worked in place of the other one is preferred for 10 minutes. The other family is also
    /// preferred after the future was dropped while the first address was silent.
    pub(crate) async fn dial(
        &mut self,
        endpoint: &Endpoint<'_>,
    ) -> Result<N::Connection<'b>, Error> {
        let (network, port) = (&self.network, endpoint.port());
        let name = match endpoint.host() {
            Host::Address(address) => return network.connect(address, port).await,
            Host::Name(name) => name,
        };
        network.policy.check_name(name).map_err(Error::Refused)?;
        let preferred = self.preferred.filter(|(_, until)| Instant::now() < *until);
        let first = network.first(name, preferred.map(|(family, _)| family)).await?;
        let other = Family::of(first).other();
        self.preferred = Some((other, Instant::now() + REMEMBERED));
        let (failure, second) = {
            let mut dialling = pin!(network.connect(first, port));
            let failure = match with_timeout(FIRST_SHARE, dialling.as_mut()).await {
                Ok(Ok(socket)) => {
                    self.preferred = preferred;
                    return Ok(socket);
                }
                Ok(Err(failure)) => Some(failure),
                Err(TimeoutError) => None,
            };
            let second = network.resolve(name, Some(other)).await;
            match (failure, second.filter(|second| Family::of(*second) == other)) {
                (failure, Some(second)) => (failure, second),
                // There is no other address, so the first one gets all the time.
                (failure, None) => {
                    self.preferred = None;
                    return match failure {
                        Some(failure) => Err(failure),
                        None => dialling.await,
                    };
                }
            }
        };
        let result = network.connect(second, port).await;
        if result.is_err() {
            self.preferred = None;
        }
        // When both failed, the error is that of the resolver's first choice.
        result.map_err(|error| failure.unwrap_or(error))
    }
}

impl<'b, N: TcpConnect + Dns> Network<'b, N> {
    /// Connects to an address, if the policy allows it.
    async fn connect(&self, address: IpAddr, port: u16) -> Result<N::Connection<'b>, Error> {
        self.policy.check(address).map_err(Error::Refused)?;
        debug!("connecting");
        let connected = self.net.connect(SocketAddr::new(address, port)).await;
        connected.map_err(|error| Error::Connect(error.kind()))
    }

    /// The name's address to try first: of the preferred family, or else of the resolver's choice.
    async fn first(&self, name: &str, mut preferred: Option<Family>) -> Result<IpAddr, Error> {
        loop {
            match self.resolve(name, preferred).await {
                Some(address) => return Ok(address),
                None if preferred.is_none() => return Err(Error::Resolve),
                None => preferred = None,
            }
        }
    }

    async fn resolve(&self, name: &str, family: Option<Family>) -> Option<IpAddr> {
        let wanted = match family {
            None => AddrType::Either,
            Some(Family::V4) => AddrType::IPv4,
            Some(Family::V6) => AddrType::IPv6,
        };
        self.net.get_host_by_name(name, wanted).await.ok()
    }
}
