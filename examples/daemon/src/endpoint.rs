//! The options about the receiver, the same for every command that sends to one.

use std::path::PathBuf;
use std::time::Duration;

use pilot_webhook_core::Policy;
use pilot_webhook_receiver::secrets::Sign;
#[cfg(feature = "proxy")]
use pilot_webhook_std::Proxy;
use pilot_webhook_std::{ClientBuilder, HttpConfig};

use crate::Failure;
use crate::args::duration;
use crate::asks::Asks;
#[cfg(feature = "proxy")]
use crate::asks::text_of_secret;
use crate::format::Format;
#[cfg(feature = "proxy")]
use crate::ipc::without_credentials;
use crate::signing;

#[derive(clap::Args)]
pub(crate) struct NodeId {
    /// The node that events are from, unless they say otherwise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) node_id: u32,
}

#[derive(Clone, clap::Args)]
pub(crate) struct Endpoint {
    /// The longest an attempt may take.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) http_timeout: Duration,
    #[command(flatten)]
    format: Format,
    /// Sign with the secret in this file (white space at its end is ignored). With --sign standard-webhooks there may be
    /// several keys, a line each, and the option may be given more than once: all of them sign.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Vec<PathBuf>,
    /// How events are signed: as pilot does (X-Pilot-Signature-256), by Standard Webhooks, or, with a comma between, both.
    /// Pilot's secret is the first file then, and the keys are in the others.
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        default_value = "pilot",
        requires = "secret_file"
    )]
    pub(crate) sign: Vec<Sign>,
    #[command(flatten)]
    pub(crate) asks: Asks,
    /// Also trust the CA certificates of this PEM file.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Send through this proxy, an http:// or https:// URL without a password, or by `env` through those that
    /// HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name.
    #[cfg(feature = "proxy")]
    #[arg(long, value_name = "URL|env")]
    proxy: Option<String>,
    /// Send through the proxy whose URL is in this file, with its password.
    #[cfg(feature = "proxy")]
    #[arg(long, value_name = "FILE", conflicts_with = "proxy")]
    proxy_file: Option<PathBuf>,
    /// Send no header `traceparent`, by which a receiver's traces show which attempts were for one event.
    #[arg(long)]
    no_traceparent: bool,
    /// Refuse loopback, private and special-purpose destinations.
    #[arg(long)]
    pub(crate) deny_private: bool,
}

impl Endpoint {
    /// Where may be sent to.
    pub(crate) fn policy(&self) -> Policy {
        Policy { deny_private: self.deny_private }
    }

    /// Whether whom it trusts, or what it shows, stands in files of its own.
    pub(crate) fn has_certificates(&self) -> bool {
        self.ca_file.is_some() || self.asks.shows_certificate()
    }

    /// The options of the client, but for its transport's. Reads files, which may be pipes.
    ///
    /// # Errors
    /// When an option or a file cannot be used.
    pub(crate) fn client(&self, builder: ClientBuilder) -> Result<ClientBuilder, Failure> {
        let builder = builder.http_timeout(self.http_timeout).traceparent(!self.no_traceparent);
        let builder = self.format.choose(builder)?;
        self.asks.client(signing::sign(builder, self)?)
    }

    /// The options of its transport.
    ///
    /// # Errors
    /// When the proxy is none, or its URL stands where others can read its password.
    #[cfg_attr(not(feature = "proxy"), allow(clippy::unnecessary_wraps))]
    pub(crate) fn http(&self) -> Result<HttpConfig, Failure> {
        let http = self.format.http(HttpConfig::new().policy(self.policy()));
        let mut http = self.asks.http(http);
        if let Some(path) = &self.ca_file {
            http = http.ca_file(path);
        }
        #[cfg(feature = "proxy")]
        if let Some(proxy) = self.proxy()? {
            http = http.proxy(proxy);
        }
        Ok(http)
    }

    /// The proxy. Nothing of its URL is shown.
    #[cfg(feature = "proxy")]
    fn proxy(&self) -> Result<Option<Proxy>, Failure> {
        let (url, source) = match (&self.proxy, &self.proxy_file) {
            (Some(word), _) if word == "env" => return Ok(Some(Proxy::from_env())),
            (Some(url), _) if without_credentials(url) != *url => {
                return Err(Failure::usage(
                    "--proxy: there is a user name or password in it, which others can read here; put the URL into a \
                     file and give --proxy-file FILE, or set HTTPS_PROXY and give --proxy env",
                ));
            }
            (Some(url), _) => (url.clone(), "--proxy".to_owned()),
            (None, Some(path)) => {
                let url = text_of_secret(path)?;
                (url.trim().to_owned(), format!("--proxy-file {}", path.display()))
            }
            (None, None) => return Ok(None),
        };
        let proxy = Proxy::new(&url);
        proxy.map(Some).map_err(|error| Failure::usage(format!("{source}: {error}")))
    }
}
