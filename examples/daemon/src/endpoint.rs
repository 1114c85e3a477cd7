//! The options about the receiver, the same for every command that sends to one.

use std::path::PathBuf;
use std::time::Duration;

use pilot_webhook_core::Policy;
use pilot_webhook_receiver::secrets::Sign;
#[cfg(feature = "proxy")]
use pilot_webhook_std::Proxy;
use pilot_webhook_std::{Client, ClientBuilder, HttpConfig};

use crate::args::duration_above_0;
use crate::asks::Asks;
#[cfg(feature = "proxy")]
use crate::asks::text_of_secret;
use crate::format::Format;
#[cfg(feature = "proxy")]
use crate::ipc::without_credentials;
use crate::signing;
use crate::wrong::Wrong;

#[derive(clap::Args)]
pub(crate) struct NodeId {
    /// The node that events are from, unless they say otherwise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) node_id: u32,
}

#[derive(Clone, clap::Args)]
pub(crate) struct Endpoint {
    /// The longest an attempt may take.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration_above_0)]
    pub(crate) http_timeout: Duration,
    #[command(flatten)]
    pub(crate) format: Format,
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
    pub(crate) fn client(&self, builder: ClientBuilder) -> Result<ClientBuilder, Wrong> {
        let builder = builder.http_timeout(self.http_timeout).traceparent(!self.no_traceparent);
        let builder = self.format.choose(builder)?;
        self.asks.client(signing::sign(builder, self)?)
    }

    /// The options of its transport.
    ///
    /// # Errors
    /// When the proxy is none, or its URL stands where others can read its password.
    #[cfg_attr(not(feature = "proxy"), allow(clippy::unnecessary_wraps))]
    pub(crate) fn http(&self) -> Result<HttpConfig, Wrong> {
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

    /// All that is wrong, but for what the types of the options tell. Reads files, which may be pipes.
    pub(crate) fn wrong(&self) -> Vec<Wrong> {
        let http = || HttpConfig::new().system_roots(false);
        let trust = self.ca_file.iter().fold(http(), HttpConfig::ca_file);
        let parts = [
            ("cloudevents_origin", self.format.http(http())),
            ("ca_file", trust),
            ("client_cert", self.asks.http(http())),
        ];
        let built = |(key, http): (_, HttpConfig)| {
            http.build()
                .err()
                .map(|error| Wrong::new(self.asks.key_of(&error).unwrap_or(key), error))
        };
        let mut wrong = self.format.wrong();
        wrong.extend(parts.into_iter().filter_map(built));
        wrong.extend(signing::sign(Client::builder(""), self).err());
        wrong.extend(self.asks.wrong_headers());
        #[cfg(feature = "proxy")]
        wrong.extend(self.proxy().err());
        wrong
    }

    /// The proxy. Nothing of its URL is shown.
    #[cfg(feature = "proxy")]
    fn proxy(&self) -> Result<Option<Proxy>, Wrong> {
        let (key, url) = match (&self.proxy, &self.proxy_file) {
            (Some(word), _) if word == "env" => return Ok(Some(Proxy::from_env())),
            (Some(url), _) if without_credentials(url) != *url => {
                return Err(Wrong::new(
                    "proxy",
                    "there is a user name or password in it, which others can read here; put the URL into a file and \
                     give --proxy-file FILE, or set HTTPS_PROXY and give --proxy env",
                ));
            }
            (Some(url), _) => ("proxy", url.clone()),
            (None, Some(path)) => {
                ("proxy_file", text_of_secret("proxy_file", path)?.trim().to_owned())
            }
            (None, None) => return Ok(None),
        };
        Proxy::new(&url).map(Some).map_err(|error| Wrong::new(key, error))
    }
}
