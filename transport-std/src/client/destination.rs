//! Where a client delivers to that takes URLs, and the transport that goes there.

use std::error::Error;
use std::fmt;

use pilot_webhook_core::{
    EndpointBuf, EndpointError, ErrorKind, Message, Policy, Reply, Scheme, SendTransport,
    TransportError,
};

use crate::client::handle::{HttpTarget, MAX_URL};
use crate::client::url_text::encoded;
use crate::http::{HttpError, HttpShared, HttpTransport};
#[cfg(feature = "nats")]
use crate::nats::{NatsError, NatsTarget, NatsTargetError, NatsTransport};
#[cfg(feature = "reqwest")]
use crate::over_reqwest::ReqwestTransport;

/// What a URL names: the kind of target of a [`Client`](crate::Client) over URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(
    feature = "nats",
    allow(clippy::large_enum_variant, reason = "workers copy it; nobody keeps many")
)]
pub enum Destination {
    /// `http://` or `https://`.
    Http(HttpTarget),
    /// `nats://` or `tls://`.
    #[cfg(feature = "nats")]
    Nats(NatsTarget),
}

/// Why a URL names no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DestinationError {
    /// It is no URL of HTTP.
    Http(EndpointError),
    /// It is no URL of a NATS server with a subject.
    #[cfg(feature = "nats")]
    Nats(NatsTargetError),
}

impl Destination {
    /// Parses a URL. In one of HTTP, spaces and letters that are not ASCII are encoded: a host's by IDNA, the others
    /// in percent.
    ///
    /// ```
    /// use pilot_webhook_std::{Destination, Policy};
    /// let destination = Destination::parse("https://bücher.example/a b", Policy::default()).unwrap();
    /// assert_eq!(destination.url(), "https://xn--bcher-kva.example/a%20b");
    /// ```
    ///
    /// # Errors
    /// When it names none, or the policy refuses it.
    pub fn parse(url: &str, policy: Policy) -> Result<Self, DestinationError> {
        #[cfg(feature = "nats")]
        if NatsTarget::is_one(url) {
            return NatsTarget::parse(url, policy).map(Self::Nats).map_err(DestinationError::Nats);
        }
        let url = &*encoded(url);
        if url.len() > MAX_URL {
            // What is left without a fragment or a default port may fit. The file it is persisted in holds no
            // more than this.
            return Err(DestinationError::Http(EndpointError::TooLong));
        }
        EndpointBuf::parse(url, policy).map(Self::Http).map_err(DestinationError::Http)
    }

    /// The URL in canonical form, without a user name and password. Paths and queries are often secrets: do not log it.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Http(target) => target.get().url().to_owned(),
            #[cfg(feature = "nats")]
            Self::Nats(target) => target.to_string(),
        }
    }

    /// The URL without what may be secret: scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        match self {
            Self::Http(target) => origin(target),
            #[cfg(feature = "nats")]
            Self::Nats(target) => target.server(),
        }
    }

    /// The target, if it is one of HTTP.
    #[must_use]
    #[cfg_attr(not(feature = "nats"), allow(clippy::unnecessary_wraps))]
    pub const fn http(&self) -> Option<&HttpTarget> {
        match self {
            Self::Http(target) => Some(target),
            #[cfg(feature = "nats")]
            Self::Nats(_) => None,
        }
    }
}

/// The scheme, the host and the port.
pub(crate) fn origin(target: &HttpTarget) -> String {
    let endpoint = target.get();
    let scheme = if endpoint.scheme() == Scheme::Https { "https" } else { "http" };
    format!("{scheme}://{}", endpoint.authority())
}

impl From<EndpointError> for DestinationError {
    fn from(error: EndpointError) -> Self {
        Self::Http(error)
    }
}

impl fmt::Display for DestinationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "nats")]
            Self::Http(error @ EndpointError::Scheme) => {
                write!(f, "{error}, or for a NATS server with nats:// or tls://")
            }
            Self::Http(error) => error.fmt(f),
            #[cfg(feature = "nats")]
            Self::Nats(error) => error.fmt(f),
        }
    }
}

impl Error for DestinationError {}

/// Sends by the transport of each destination.
pub(crate) struct UrlTransport {
    pub(crate) http: Http,
    #[cfg(feature = "nats")]
    pub(crate) nats: NatsTransport,
}

impl SendTransport<Destination> for UrlTransport {
    type Error = UrlError;

    async fn send(&mut self, to: &Destination, message: &Message<'_>) -> Result<Reply, UrlError> {
        match to {
            Destination::Http(to) => self.http.send(to, message).await.map_err(UrlError::Http),
            #[cfg(feature = "nats")]
            Destination::Nats(to) => {
                self.http.forget();
                // On the heap: the task of a worker is as large as its largest way, and most go by HTTP.
                let sent = Box::pin(SendTransport::send(&mut self.nats, to, message));
                sent.await.map_err(UrlError::Nats)
            }
        }
    }

    /// HTTP's: of NATS's answer, nothing is left to tell.
    fn answer(&self) -> &[u8] {
        self.http.answer()
    }
}

/// The transport of HTTP: the own one, or reqwest where there is a proxy.
#[cfg_attr(feature = "reqwest", allow(clippy::large_enum_variant, reason = "one a worker"))]
pub(crate) enum Http {
    Own(HttpTransport),
    #[cfg(feature = "reqwest")]
    Proxied(ReqwestTransport),
}

impl Http {
    pub(crate) fn new(shared: &HttpShared) -> Self {
        #[cfg(feature = "reqwest")]
        if shared.get().proxy.is_some() {
            return Self::Proxied(ReqwestTransport::new(shared));
        }
        Self::Own(HttpTransport::new(shared))
    }

    async fn send(&mut self, to: &HttpTarget, message: &Message<'_>) -> Result<Reply, HttpError> {
        match self {
            Self::Own(own) => SendTransport::send(own, to, message).await,
            #[cfg(feature = "reqwest")]
            Self::Proxied(proxied) => Box::pin(SendTransport::send(proxied, to, message)).await,
        }
    }

    fn answer(&self) -> &[u8] {
        match self {
            Self::Own(own) => SendTransport::<HttpTarget>::answer(own),
            #[cfg(feature = "reqwest")]
            Self::Proxied(proxied) => SendTransport::<HttpTarget>::answer(proxied),
        }
    }

    /// Forgets the last answer.
    #[cfg(feature = "nats")]
    fn forget(&mut self) {
        match self {
            Self::Own(own) => own.forget(),
            #[cfg(feature = "reqwest")]
            Self::Proxied(proxied) => proxied.forget(),
        }
    }
}

/// Why there was no answer.
pub(crate) enum UrlError {
    Http(HttpError),
    #[cfg(feature = "nats")]
    Nats(NatsError),
}

impl UrlError {
    fn get(&self) -> &dyn TransportError {
        match self {
            Self::Http(error) => error,
            #[cfg(feature = "nats")]
            Self::Nats(error) => error,
        }
    }
}

impl TransportError for UrlError {
    fn kind(&self) -> ErrorKind {
        self.get().kind()
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
