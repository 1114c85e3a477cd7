//! Builds the service from the options, and reloads files while it runs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
#[cfg(feature = "nats")]
use pilot_webhook_core::OnOpen;
use pilot_webhook_std::{
    Client, ClientBuilder, EndpointOptions, Hub, ServiceOptions, WebhookService,
};
use tracing::{info, warn};

use crate::Failure;
use crate::admin::Histories;
use crate::args::Run;
use crate::aside::aside;
use crate::delivery::OnFullArg;
#[cfg(feature = "nats")]
use crate::gateway::Relay;
use crate::ingress::Serving;
use crate::signing;
use crate::webhook_url;

/// The service that the options describe. Reads files, which may be pipes. Within a tokio runtime.
///
/// # Errors
/// When the options cannot be used.
pub(crate) fn service(options: &Run, histories: &Histories) -> Result<WebhookService, Failure> {
    let service = ServiceOptions {
        // The sources decide which of them wait.
        endpoint: EndpointOptions { waits: true, ..builder(options, histories)?.into() },
        home: options.home.clone(),
        hub: options.store.open()?.map_or_else(Hub::new, Hub::with_outbox),
    };
    let url = webhook_url::initial(options, options.delivery.endpoint.policy())?;
    WebhookService::new(&url, service).map_err(Failure::usage)
}

fn builder(options: &Run, histories: &Histories) -> Result<ClientBuilder, Failure> {
    let mut builder = options.delivery.client("", options.admin.answers())?;
    if options.admin.admin.is_some() {
        builder = builder.on_notice(histories.of("pilot").hook());
    }
    builder = builder.node_id(options.node.node_id).drain_timeout(options.drain_timeout);
    #[cfg(feature = "nats")]
    if options.takes_from_stream() {
        // The stream has what the receiver does not take now.
        builder = builder.on_open(OnOpen::Hold).format(Relay);
    }
    Ok(builder)
}

/// A log line about what the daemon is going to do. Of the URL it shows only scheme, host and port.
pub(crate) fn summary(options: &Run, listens: Option<SocketAddr>, url: Option<&str>) -> String {
    let read = options.events.as_deref().map(|path| match path {
        path if path == Path::new("-") => "events of standard input".to_owned(),
        path => format!("events of {}", path.display()),
    });
    let posted = listens.map(|address| {
        let signed = if options.listen_secret_file.is_some() { "signed " } else { "" };
        format!("{signed}events posted to http://{address}/")
    });
    #[cfg(feature = "nats")]
    let read = match &options.from_stream.from {
        // There are no credentials in it.
        Some(url) => Some(format!("events of {url}")),
        None => read,
    };
    let what = match (read, posted) {
        (None, None) => "no events".to_owned(),
        (Some(what), None) | (None, Some(what)) => what,
        (Some(read), Some(posted)) => format!("{read} and {posted}"),
    };
    let to = url.map_or("nowhere until a webhook is set", origin);
    let signed = signing::word(&options.delivery.endpoint);
    let full = if options.delivery.blocks() { OnFullArg::Block } else { options.delivery.on_full };
    if let Some(path) = &options.store.outbox {
        return format!("delivering {what} to {to}, {signed}, by the outbox {}", path.display());
    }
    format!(
        "delivering {what} to {to}, {signed}; --on-full {}, --on-open {}",
        word(&full),
        word(&options.delivery.on_open)
    )
}

/// The scheme, the host and the port.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |end| end + 3);
    url[host..].find(['/', '?']).map_or(url, |end| &url[..host + end])
}

/// A value as it is given.
fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Reads the trusted certificates again, and the secrets and headers, if they are in files. Where that fails, the old ones
/// still count.
pub(crate) async fn reload(client: &Client, serving: Option<&Serving>, options: &Arc<Run>) {
    let trusting = client.clone();
    let read = aside(move || trusting.reload_trust().map_err(Failure::runtime));
    match read.await.and_then(|read| read) {
        Ok(_) => info!("the trusted certificates were read again"),
        Err(failure) => {
            warn!("the trusted certificates are still the old ones: {}", failure.message);
        }
    }
    signing::reload(client, serving, options).await;
    if !options.delivery.endpoint.asks.files().is_empty() {
        let again = Arc::clone(options);
        let read =
            move || again.delivery.endpoint.asks.headers().map_err(|failure| failure.message);
        let headers = signing::read_again(options.delivery.endpoint.asks.files(), read).await;
        signing::report("the headers", headers.map(|headers| client.set_headers(headers)));
    }
}
