//! The one connection at a time, and how it is made: a socket, and TLS over it if the URL says so.

use embedded_nal_async::{Dns, TcpConnect};
use pilot_webhook_core::http::{DRAIN_MAX, HEADS_MAX};
use pilot_webhook_core::{Endpoint, Policy};

use crate::dial::Dialer;
use crate::error::Error;
#[cfg(feature = "_https")]
use crate::link::Lease;
use crate::link::{Link, Watch};
#[cfg(feature = "_https")]
use crate::tls::TlsClient;
use crate::wire::Wire;

/// The most bytes that are taken from the socket for one answer, or for a handshake: the bounds of HTTP's
/// heads and of its body, and room for what TLS adds, in which a hostile server could go on for ever.
pub(crate) const WIRE_MAX: usize = HEADS_MAX + DRAIN_MAX + 16 * 1_024;

/// The connection, if there is one, and what makes the next.
pub(crate) struct Line<'b, N: TcpConnect + Dns> {
    pub(crate) link: Link<'b, N::Connection<'b>>,
    dialer: Dialer<'b, N>,
    #[cfg(feature = "_https")]
    tls: Option<TlsClient<'b>>,
}

impl<'b, N: TcpConnect + Dns> Line<'b, N> {
    /// Without TLS and without a connection.
    pub(crate) fn new(net: &'b N, watch: &'b Watch, policy: Policy) -> Self {
        Self {
            link: Link::new(watch),
            dialer: Dialer::new(net, policy),
            #[cfg(feature = "_https")]
            tls: None,
        }
    }

    /// Ends the connection, if there is one: it may be the former client's.
    #[cfg(feature = "_https")]
    pub(crate) fn set_tls(&mut self, tls: TlsClient<'b>) {
        self.link.hang_up();
        self.tls = Some(tls);
    }

    /// Makes a new connection the link, over TLS if need be: then the server is who the URL says.
    pub(crate) async fn connect(&mut self, endpoint: &Endpoint<'_>) -> Result<(), Error> {
        if endpoint.scheme().is_tls() && !self.has_tls() {
            return Err(Error::NoTls);
        }
        let socket = self.dialer.dial(endpoint).await?;
        self.greet(socket, endpoint).await
    }

    /// Makes the socket the link, over TLS if need be.
    async fn greet(
        &mut self,
        socket: N::Connection<'b>,
        endpoint: &Endpoint<'_>,
    ) -> Result<(), Error> {
        self.link.meter().begin(WIRE_MAX);
        let wire = Wire::new(socket, self.link.meter());
        if !endpoint.scheme().is_tls() {
            self.link.set_plain(wire);
            return Ok(());
        }
        #[cfg(feature = "_https")]
        {
            let tls = self.tls.as_mut().ok_or(Error::NoTls)?;
            let mut lease = Lease::new(&mut self.link);
            lease.link().open(tls, wire, endpoint.host()).await.map_err(Error::Tls)?;
            lease.keep();
            Ok(())
        }
        #[cfg(not(feature = "_https"))]
        Err(Error::NoTls)
    }

    const fn has_tls(&self) -> bool {
        #[cfg(feature = "_https")]
        return self.tls.is_some();
        #[cfg(not(feature = "_https"))]
        false
    }
}
