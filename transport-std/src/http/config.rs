//! Options of HTTP transports, and the state that the transports of a client share.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use pilot_webhook_core::http::{Response, Success};
use pilot_webhook_core::{Message, Policy, Rate, Reply, Verdict};

use crate::http::connections::{Connections, Counted};
use crate::http::error::HttpError;
use crate::http::handshake::Handshake;
use crate::http::headers::RequestHeaders;
use crate::http::identity::IdentityFiles;
use crate::http::known::Known;
use crate::http::look_ups::LookUps;
use crate::http::report::{HttpReport, ReportHook};
use crate::http::request::GZIP;
use crate::http::resolve::{Resolve, SystemResolver};
use crate::http::tls::{HttpConfigError, TrustFiles};
use crate::http::trust::Trust;
#[cfg(feature = "reqwest")]
use crate::over_reqwest::Proxy;

/// The time to resolve and connect of an attempt without a timeout: its caller ends it.
const UNLIMITED: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before its timeout an attempt stops resolving and connecting, so that its error can still name
/// what it waited for. More than the resolution of tokio's timers, 1 ms.
const LAST_WORDS: Duration = Duration::from_millis(5);

/// Options for HTTP transports, checked once by [`build`](Self::build).
///
/// Proxies are never taken from the environment, unless that is asked for. The system's trust roots are where its TLS
/// library keeps them; `SSL_CERT_FILE` and `SSL_CERT_DIR` override that, as they do for OpenSSL.
#[must_use = "`build` makes the shared part of the transports"]
pub struct HttpConfig {
    policy: Policy,
    system_roots: bool,
    ca_files: Vec<PathBuf>,
    identity: Option<IdentityFiles>,
    resolver: Arc<dyn Resolve>,
    headers: RequestHeaders,
    success: Success,
    dial_time: Duration,
    on_report: Option<ReportHook>,
    answers: usize,
    #[cfg(feature = "reqwest")]
    proxy: Option<Proxy>,
    origin: Option<String>,
    rate: Rate,
}

impl HttpConfig {
    /// The defaults: the lenient policy, the system's trust roots and the system's resolver.
    pub fn new() -> Self {
        Self {
            policy: Policy::default(),
            system_roots: true,
            ca_files: Vec::new(),
            identity: None,
            resolver: Arc::new(SystemResolver),
            headers: RequestHeaders::new(),
            success: Success::default(),
            dial_time: UNLIMITED,
            on_report: None,
            answers: 0,
            #[cfg(feature = "reqwest")]
            proxy: None,
            origin: None,
            rate: Rate::UNLIMITED,
        }
    }

    /// The destination policy, applied to every address just before connecting to it. Endpoints
    /// are to be parsed with the same.
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Also trust the certificates of a PEM file: authorities, or the very certificates that
    /// self-signed servers show. May be given more than once.
    ///
    /// When a server is not trusted, the files (and the system's roots) are read again, once in 10 s at
    /// most, and count for new connections: a file that is replaced needs no restart.
    /// [`Client::reload_trust`](crate::Client::reload_trust) does the same at once.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_files.push(path.into());
        self
    }

    /// The certificate that is shown to servers that ask for one (mTLS), with those between it and its authority,
    /// and its key, both in PEM and without a password. The files are read again as the CA files are: when a server
    /// does not accept the certificate, too.
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.identity = Some(IdentityFiles { certificate: certificate.into(), key: key.into() });
        self
    }

    /// Whether to trust the system's roots. Without them, only those of the CA files count.
    pub const fn system_roots(mut self, trusted: bool) -> Self {
        self.system_roots = trusted;
        self
    }

    /// Another resolver than the system's.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Headers of every request, credentials among them.
    pub fn headers(mut self, headers: RequestHeaders) -> Self {
        self.headers = headers;
        self
    }

    /// The statuses that mean success. Default: 200 to 299.
    pub fn success(mut self, success: Success) -> Self {
        self.success = success;
        self
    }

    /// The proxy that requests go through: those of a client, and of a
    /// [`ReqwestTransport`](crate::ReqwestTransport). A [`HttpTransport`](crate::HttpTransport) knows none.
    #[cfg(feature = "reqwest")]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// A hook that is told what each attempt met, for people who look for a fault: with the result, or without one
    /// when the attempt was ended before it had one, by the timeout. It is called by the attempt, so it must not block.
    pub fn on_report(
        mut self,
        hook: impl Fn(&HttpReport, Option<&Result<Reply, HttpError>>) + Send + Sync + 'static,
    ) -> Self {
        self.on_report = Some(Box::new(hook));
        self
    }

    /// Keeps the first `bytes` bytes of each answer's body, for [`Notice::Attempt`](crate::Notice::Attempt). Where the
    /// status is no 2xx, an attempt waits for them for up to 250 ms, within the attempt's time; else they are what came
    /// with the status. Default: 0, and nobody waits.
    pub const fn answers(mut self, bytes: usize) -> Self {
        self.answers = bytes;
        self
    }

    /// Asks each receiver before the first event is sent to it, by the handshake of CloudEvents' web hooks:
    /// `OPTIONS` with this origin, a name such as `pilot.example.org`. Without its consent no event is sent; the
    /// attempts fail with [`HttpError::NoConsent`](crate::HttpError::NoConsent). Of the client's rate and the one
    /// that the receiver allows, the slower one counts. Default: nobody is asked.
    pub fn handshake(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// The rate that is asked for.
    pub(crate) const fn rate(mut self, rate: Rate) -> Self {
        self.rate = rate;
        self
    }

    /// The timeout after which the caller ends an attempt. An attempt that has not connected a moment before
    /// ends by itself, with an error that says what it waited for.
    pub(crate) fn attempts_end_after(mut self, timeout: Duration) -> Self {
        self.dial_time = timeout.saturating_sub(LAST_WORDS.min(timeout / 2)).min(UNLIMITED);
        self
    }

    /// Reads the trust roots and makes what the transports share. Reads files, so it blocks for
    /// some milliseconds.
    ///
    /// # Errors
    /// When a CA file, the client's certificate, or the handshake's origin cannot be used. Missing system roots are an error of the attempts that need
    /// them ([`HttpError::NoTrustRoots`](crate::HttpError::NoTrustRoots)), since `http` endpoints
    /// do not.
    pub fn build(self) -> Result<HttpShared, HttpConfigError> {
        let handshake = |origin| Handshake::new(origin, self.rate).ok_or(HttpConfigError::Origin);
        Ok(HttpShared {
            inner: Arc::new(Shared {
                handshake: self.origin.map(handshake).transpose()?,
                policy: self.policy,
                trust: Trust::of(TrustFiles {
                    system_roots: self.system_roots,
                    ca_files: self.ca_files,
                    identity: self.identity,
                })?,
                look_ups: LookUps::new(self.resolver),
                dial_time: self.dial_time,
                on_report: self.on_report,
                answers: self.answers,
                #[cfg(feature = "reqwest")]
                proxy: self.proxy,
                known: Known::default(),
                connections: Counted::default(),
                success: self.success,
                refuses_gzip: Arc::default(),
                headers: RwLock::new(Arc::new(self.headers)),
            }),
        })
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig")
            .field("policy", &self.policy)
            .field("system_roots", &self.system_roots)
            .field("ca_files", &self.ca_files)
            .finish_non_exhaustive()
    }
}

/// What transports share: TLS roots and sessions, look-ups and the addresses that
/// worked, and the policy. Cheap to clone. [`HttpTransport::new`](crate::HttpTransport::new) makes a transport of it.
#[derive(Clone)]
pub struct HttpShared {
    inner: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) policy: Policy,
    pub(crate) trust: Trust,
    pub(crate) look_ups: LookUps,
    /// How long an attempt may take to resolve and connect.
    pub(crate) dial_time: Duration,
    pub(crate) on_report: Option<ReportHook>,
    /// Bytes of an answer's body that are kept, at most.
    pub(crate) answers: usize,
    #[cfg(feature = "reqwest")]
    pub(crate) proxy: Option<Proxy>,
    pub(crate) known: Known,
    pub(crate) connections: Counted,
    pub(crate) success: Success,
    pub(crate) handshake: Option<Handshake>,
    /// The endpoint does not take compressed bodies.
    pub(crate) refuses_gzip: Arc<AtomicBool>,
    headers: RwLock<Arc<RequestHeaders>>,
}

impl Shared {
    /// What an answer to a message means.
    pub(crate) fn judge(&self, response: Response, message: &Message<'_>) -> Reply {
        let verdict = match response.status {
            // From now on bodies are sent as they are, this one first.
            415 if message.body.starts_with(&GZIP) => {
                self.refuses_gzip.store(true, Relaxed);
                Verdict::Later(None)
            }
            _ => response.verdict_by(&self.success),
        };
        Reply { verdict, code: response.status }
    }

    /// The headers that endpoints ask for.
    pub(crate) fn headers(&self) -> Arc<RequestHeaders> {
        Arc::clone(&self.headers.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpShared {
    /// Has the rate told that a receiver allows in a handshake, or the own one if it is slower.
    pub(crate) fn on_rate(&self, tell: impl Fn(Rate) + Send + Sync + 'static) {
        if let Some(handshake) = &self.inner.handshake {
            handshake.on_rate(tell);
        }
    }

    /// Reads the CA files and the system's roots again, for the connections that are made from now on.
    /// Reads files, so it blocks for some milliseconds. Returns whether anything has changed.
    ///
    /// # Errors
    /// When a CA file cannot be used, or is not a regular file. What was read before still counts.
    pub fn reload_trust(&self) -> Result<bool, HttpConfigError> {
        self.inner.trust.read_again()
    }

    /// Other headers of every request from the next attempt on, in place of those before.
    pub fn set_headers(&self, headers: RequestHeaders) {
        *self.inner.headers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(headers);
    }

    /// The connections of its [`HttpTransport`](crate::HttpTransport)s.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.inner.connections.now()
    }

    pub(crate) fn get(&self) -> &Shared {
        &self.inner
    }
}

impl fmt::Debug for HttpShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpShared").field("policy", &self.inner.policy).finish_non_exhaustive()
    }
}
