//! One POST over reqwest.

use std::fmt;
use std::io;

use pilot_webhook_core::http::{DRAIN_TIME, Malformed, Response, is_header};
use pilot_webhook_core::{
    Endpoint, EndpointBuf, Host, Message, Policy, Reply, RetryAfter, Scheme, SendTransport,
};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, ClientBuilder, Method, redirect, retry};
use tokio::time::{Instant, timeout_at};

use crate::http::{
    Attempt, HttpError, HttpShared, REQUEST_ORIGIN, REQUEST_RATE, Shared, USER_AGENT, config_now,
    encoding,
};
use crate::over_reqwest::fault::{NO_CREDENTIALS, explain, of_proxy};
use crate::over_reqwest::proxy::Hop;
use crate::over_reqwest::resolver::Resolver;

/// Posts over reqwest: through the proxy of [`HttpConfig::proxy`](crate::HttpConfig::proxy), over HTTP/2 where the
/// server offers it, or over HTTP/1.1.
///
/// What holds for [`HttpTransport`](crate::HttpTransport) holds here: the destination policy, the resolver, the trusted
/// certificates, the headers, the statuses that mean success, and no redirects. Different is what a library
/// of its own decides: it normalises URLs by the WHATWG's standard, has bounds of its own for answers, and takes some
/// answers for broken of which `HttpTransport` takes the status.
///
/// Each attempt has a connection of its own. Reqwest may not notice that a server has closed a kept one, and takes what
/// was said over it unasked for the answer to the next request: an event would count as delivered that was not.
pub struct ReqwestTransport {
    shared: HttpShared,
    resolver: Resolver,
    /// Or why there is none.
    client: Result<Client, String>,
    /// The beginning of the last answer's body, as far as it is wanted.
    answer: Vec<u8>,
}

impl ReqwestTransport {
    /// A transport with reqwest's defaults.
    #[must_use]
    pub fn new(shared: &HttpShared) -> Self {
        let builder = Client::builder();
        let is_direct = shared.get().proxy.is_none();
        Self::with_client(shared, if is_direct { builder.no_proxy() } else { builder })
    }

    /// A transport over a client that the user configured. What would let a request go elsewhere, or twice, is configured
    /// over it: redirects, retries, kept connections, the resolver and TLS. A proxy that is configured by it must have
    /// a public address if the policy refuses private ones. When it cannot be built, each attempt says why.
    #[must_use]
    pub fn with_client(shared: &HttpShared, builder: ClientBuilder) -> Self {
        let resolver = Resolver::new(shared);
        let client = client(shared.get(), &resolver, builder);
        Self { shared: shared.clone(), resolver, client, answer: Vec::new() }
    }

    /// Forgets the last answer.
    pub(crate) fn forget(&mut self) {
        self.answer.clear();
    }

    async fn exchange(
        &mut self,
        endpoint: &Endpoint<'_>,
        message: &Message<'_>,
        until: Instant,
    ) -> Result<Response, HttpError> {
        let shared = self.shared.clone();
        let shared = shared.get();
        check(shared.policy, endpoint.host())?;
        let is_https = endpoint.scheme() == Scheme::Https;
        if is_https && shared.trust.tls().is_none() {
            shared.trust.doubt(Instant::now());
            return Err(HttpError::NoTrustRoots);
        }
        let hop = shared.proxy.as_ref().and_then(|proxy| proxy.of(endpoint.url()));
        self.resolver.goes_through(hop.as_ref().map(|hop| hop.host.clone()));
        let unbuilt = |why: &String| HttpError::Unreachable(io::Error::other(why.clone()));
        let client = self.client.as_ref().map_err(unbuilt)?;
        let asked_for = shared.headers();
        let request = |method| {
            let request = client.request(method, endpoint.url()).header("User-Agent", USER_AGENT);
            let headers = asked_for.each(endpoint.authorization());
            headers.fold(request, |request, (name, value)| request.header(name, value.as_bytes()))
        };
        let fault = |error| explain(&error, is_https, hop.as_ref());
        let talks_to = hop.as_ref().filter(|_| !is_https);
        if let Some(handshake) = shared.handshake.as_ref().filter(|own| own.is_due(endpoint)) {
            let (origin, rate) = handshake.question();
            let rate = rate.as_deref().map(|rate| (REQUEST_RATE, rate));
            let mut question = request(Method::OPTIONS).header("Content-Length", 0);
            for (name, value) in [(REQUEST_ORIGIN, origin)].into_iter().chain(rate) {
                question = question.header(name, value);
            }
            let answer = question.send().await.map_err(fault)?;
            let status = understand(&answer, talks_to)?.status;
            handshake.answered(endpoint, status, &head(&answer))?;
        }
        let mut request = request(Method::POST);
        for (name, value) in message.headers {
            if !is_header(name, value) {
                return Err(HttpError::InvalidRequest);
            }
            request = request.header(*name, value.as_bytes());
        }
        if let Some((name, value)) = encoding(message) {
            request = request.header(name, value);
        }
        let mut answer = request.body(message.body.to_vec()).send().await.map_err(fault)?;
        // Each attempt makes one of its own.
        let _open = shared.connections.made();
        let response = understand(&answer, talks_to)?;
        if shared.answers > 0 && !(200..300).contains(&response.status) {
            let said = &mut self.answer;
            let rest = async {
                while said.len() < shared.answers
                    && let Ok(Some(piece)) = answer.chunk().await
                {
                    said.extend_from_slice(&piece);
                }
            };
            // What has come by then is enough.
            let _ = timeout_at(until.min(Instant::now() + DRAIN_TIME), rest).await;
            self.answer.truncate(shared.answers);
        }
        Ok(response)
    }
}

/// The client, with what may not be otherwise.
fn client(shared: &Shared, resolver: &Resolver, builder: ClientBuilder) -> Result<Client, String> {
    let tls = config_now(&shared.trust).map_err(|error| error.to_string())?;
    let builder = match &shared.proxy {
        Some(proxy) => proxy.configure(builder),
        None => builder,
    };
    builder
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .dns_resolver(resolver.clone())
        .tls_backend_preconfigured(tls)
        .connect_timeout(shared.dial_time)
        .pool_max_idle_per_host(0)
        .http1_title_case_headers()
        .build()
        .map_err(|error| error.without_url().to_string())
}

/// Before anybody resolves or connects, a proxy included.
fn check(policy: Policy, host: Host<'_>) -> Result<(), HttpError> {
    match host {
        Host::Address(address) => policy.check(address),
        Host::Name(name) => policy.check_name(name),
    }
    .map_err(HttpError::Refused)
}

/// The head of an answer, as HTTP/1.1 has it.
fn head(answer: &reqwest::Response) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {}\r\n", answer.status().as_u16()).into_bytes();
    for (name, value) in answer.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head
}

/// What an answer says; `hop` is a proxy that may have given it.
fn understand(answer: &reqwest::Response, hop: Option<&Hop>) -> Result<Response, HttpError> {
    match (answer.status().as_u16(), hop) {
        (101, _) => Err(HttpError::Malformed(Malformed::Upgrade)),
        (407, Some(hop)) => Err(of_proxy(hop, NO_CREDENTIALS)),
        (status, _) => {
            let header = answer.headers().get(RETRY_AFTER);
            let retry_after = header.and_then(|value| RetryAfter::parse(value.as_bytes()));
            Ok(Response { status, retry_after })
        }
    }
}

impl<const N: usize> SendTransport<EndpointBuf<N>> for ReqwestTransport {
    type Error = HttpError;

    async fn send(
        &mut self,
        to: &EndpointBuf<N>,
        message: &Message<'_>,
    ) -> Result<Reply, HttpError> {
        let shared = self.shared.clone();
        let endpoint = &to.get();
        let mut attempt = Attempt::begin(shared.get(), endpoint, message.fresh);
        attempt.sends(message);
        self.forget();
        let response = self.exchange(endpoint, message, attempt.until()).await;
        attempt.conclude(response, message)
    }

    fn answer(&self) -> &[u8] {
        &self.answer
    }
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport").field("shared", &self.shared).finish_non_exhaustive()
    }
}
