//! The options of a client that delivers to URLs.

use std::path::PathBuf;
#[cfg(feature = "gzip")]
use std::sync::Arc;

use pilot_webhook_core::http::HeaderError;

use super::{ClientBuilder, Options};
use crate::client::destination::{Destination, Http, UrlTransport};
use crate::client::error::ClientError;
#[cfg(feature = "gzip")]
use crate::client::gzip::GzipFormat;
use crate::client::handle::{Client, destination};
use crate::http::{HttpConfig, HttpShared, RequestHeaders};
#[cfg(feature = "nats")]
use crate::nats::{NatsConfig, NatsShared, NatsTransport};

/// Delivery over HTTP: the URL, and the options of the transports.
pub struct OverHttp {
    url: String,
    /// In place of the URL.
    target: Option<Destination>,
    http: HttpConfig,
    headers: Result<RequestHeaders, HeaderError>,
    #[cfg(feature = "gzip")]
    gzip: Option<usize>,
    #[cfg(feature = "nats")]
    nats: NatsConfig,
}

impl Client {
    /// Options for a client that delivers to `url` over HTTP; empty for none yet.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        let headers = Ok(RequestHeaders::new());
        let via = OverHttp {
            url: url.into(),
            target: None,
            http: HttpConfig::new(),
            headers,
            #[cfg(feature = "gzip")]
            gzip: None,
            #[cfg(feature = "nats")]
            nats: NatsConfig::new(),
        };
        ClientBuilder { options: Options::default(), via }
    }
}

impl ClientBuilder {
    /// Where events are delivered to; empty for nowhere yet.
    #[cfg(feature = "plugin")]
    pub(crate) fn url(mut self, url: impl Into<String>) -> Self {
        self.via.url = url.into();
        self
    }

    /// Where events are delivered to, in place of a URL.
    #[cfg(feature = "plugin")]
    pub(crate) fn target(mut self, target: Option<Destination>) -> Self {
        self.via.target = target;
        self
    }

    /// Whether the URL is known to be gone.
    #[cfg(feature = "plugin")]
    pub(crate) const fn known_gone(mut self, is_gone: bool) -> Self {
        self.options.is_gone = is_gone;
        self
    }

    /// The options of the transports: trust roots, the resolver, the destination policy (which the URL
    /// is parsed by, too).
    pub fn http(mut self, http: HttpConfig) -> Self {
        self.via.http = http;
        self
    }

    /// Compresses bodies of more than `over` bytes by gzip, with `Content-Encoding`. What is signed is the body as it is
    /// sent, so receivers verify it before they unpack it. An endpoint that answers 415 to one gets bodies as they are,
    /// until another target is set. Default: none are compressed.
    #[cfg(feature = "gzip")]
    pub const fn gzip(mut self, over: usize) -> Self {
        self.via.gzip = Some(over);
        self
    }

    /// The options of the connection to a NATS server, for URLs of one.
    #[cfg(feature = "nats")]
    pub fn nats(mut self, nats: NatsConfig) -> Self {
        self.via.nats = nats;
        self
    }

    /// Another header of every request, such as the key of an API. One that HTTP cannot carry, or that requests
    /// have already, is an error of the build.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Ok(headers) = &mut self.via.headers
            && let Err(error) = headers.add(name, value)
        {
            self.via.headers = Err(error);
        }
        self
    }

    /// Keeps the first `bytes` bytes of each answer's body, for [`on_notice`](Self::on_notice):
    /// [`HttpConfig::answers`]. To be called after [`http`](Self::http), which replaces it.
    pub fn answers(mut self, bytes: usize) -> Self {
        self.via.http = self.via.http.answers(bytes);
        self
    }

    /// The certificate and the key, both in PEM, that are shown to servers that ask for them (mTLS):
    /// [`HttpConfig::client_certificate`]. To be called after [`http`](Self::http), which replaces it.
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.via.http = self.via.http.client_certificate(certificate, key);
        self
    }

    /// Headers of every request, credentials among them, in place of those before.
    /// [`Client::set_headers`] changes them later.
    pub fn headers(mut self, headers: RequestHeaders) -> Self {
        self.via.headers = Ok(headers);
        self
    }

    /// Builds the client and starts its workers on the current tokio runtime. An empty URL gives a
    /// disabled client.
    ///
    /// # Errors
    /// When an option is wrong, or there is no runtime.
    pub fn build(self) -> Result<Client, ClientError> {
        let ready = self.ready()?;
        #[cfg(feature = "nats")]
        let nats = ready.nats;
        let Ready { options, http, target, .. } = ready;
        let (policy, shared) = (http.get().policy, http.clone());
        let transport = move || UrlTransport {
            http: Http::new(&http),
            #[cfg(feature = "nats")]
            nats: NatsTransport::new(&nats),
        };
        options.start(transport, target, policy, Some(shared), Destination::origin)
    }

    /// Whether [`build`](Self::build) would take the options. Reads the files that they name, and starts nothing: it may be
    /// called without a runtime.
    ///
    /// ```
    /// # use pilot_webhook_std::Client;
    /// let url = "https://example.org/hook";
    /// assert!(Client::builder(url).check().is_ok());
    /// assert!(Client::builder(url).max_in_flight(65).check().is_err());
    /// assert!(Client::builder(url).secret(b"").check().is_err());
    /// assert!(Client::builder("hook").check().is_err());
    /// ```
    ///
    /// # Errors
    /// When an option is wrong.
    pub fn check(self) -> Result<(), ClientError> {
        self.ready()?.options.check()
    }

    /// What is made of the options that have to do with URLs.
    fn ready(self) -> Result<Ready, ClientError> {
        let timeout = self.options.config.http_timeout;
        let headers = self.via.headers?;
        let http =
            self.via.http.attempts_end_after(timeout).rate(self.options.config.rate).build()?;
        if headers != RequestHeaders::new() {
            http.set_headers(headers);
        }
        #[cfg(feature = "gzip")]
        let options = match self.via.gzip {
            Some(over) => self.options.compressed(over, &http),
            None => self.options,
        };
        #[cfg(not(feature = "gzip"))]
        let options = self.options;
        let target = match self.via.target {
            None => destination(&self.via.url, http.get().policy)?,
            target => target,
        };
        Ok(Ready {
            options,
            http,
            target,
            #[cfg(feature = "nats")]
            nats: self.via.nats.build()?,
        })
    }
}

/// What a client over HTTP is started with.
struct Ready {
    options: Options,
    http: HttpShared,
    target: Option<Destination>,
    #[cfg(feature = "nats")]
    nats: NatsShared,
}

#[cfg(feature = "gzip")]
impl Options {
    /// With bodies of more than `over` bytes compressed.
    fn compressed(self, over: usize, http: &HttpShared) -> Self {
        let refused = Arc::clone(&http.get().refuses_gzip);
        let format = Arc::new(GzipFormat { inner: self.format, over, refused });
        Self { format, ..self }
    }
}
