//! Builds the service from the options, and reads files again while it runs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use pilot_webhook_std::{
    EndpointOptions, Filter, Hub, HubEndpoint, RequestHeaders, ServiceOptions, WebhookService,
};
use tracing::{info, warn};

use crate::Failure;
use crate::admin::Watch;
use crate::args::Run;
use crate::aside::aside;
use crate::config::Declared;
use crate::delivery::{EndpointArgs, OnFullArg, PILOT};
use crate::gateway::relayed;
use crate::signing;

/// How many endpoints are named in a log line. Arbitrary.
const NAMED_MAX: usize = 8;

/// What all endpoints are made with.
pub(crate) struct Setup {
    pub(crate) options: Arc<Run>,
    pub(crate) watch: Arc<Watch>,
}

impl Setup {
    /// The service, with these endpoints. Reads files, which may be pipes. Within a tokio runtime.
    ///
    /// # Errors
    /// When the options cannot be used.
    pub(crate) fn service(&self, endpoints: &[Declared]) -> Result<WebhookService, Failure> {
        let has_several = endpoints.len() > 1;
        let hub = self.options.store.open()?.map_or_else(Hub::new, Hub::with_outbox);
        let mut service =
            ServiceOptions { home: self.options.home.clone(), ..ServiceOptions::default() };
        let options = |declared: &Declared| {
            let options = self.endpoint(&declared.args, &declared.url)?;
            Ok::<_, Failure>(EndpointOptions { waits: declared.waits(has_several), ..options })
        };
        let is_pilot = |it: &&Declared| it.args.name == PILOT;
        let mut url = "";
        if let Some(pilot) = endpoints.iter().find(is_pilot) {
            (service.endpoint, url) = (options(pilot)?, &pilot.url);
        }
        service.hub = hub;
        let service = WebhookService::new(url, service).map_err(Failure::usage)?;
        for declared in endpoints.iter().filter(|it| !is_pilot(it)) {
            let added = service.add(&declared.args.name, options(declared)?);
            added.map_err(|error| Failure::usage(format!("{}: {error}", declared.args.name)))?;
        }
        Ok(service)
    }

    /// An endpoint that delivers to `url`, or nowhere where that is empty. Reads files, which may be pipes.
    ///
    /// # Errors
    /// When the options cannot be used.
    pub(crate) fn endpoint(
        &self,
        args: &EndpointArgs,
        url: &str,
    ) -> Result<EndpointOptions, Failure> {
        let options = &self.options;
        let mut client = args.delivery.client(url, options.admin.answers())?;
        if options.admin.admin.is_some() {
            client = self.watch.client(&args.name, client);
        }
        client = client.node_id(options.node.node_id).drain_timeout(options.drain_timeout);
        if options.from_stream.is_given() {
            client = relayed(client);
        }
        Ok(EndpointOptions { filter: filter(args), client, ..EndpointOptions::default() })
    }
}

/// Which events an endpoint gets.
pub(crate) fn filter(args: &EndpointArgs) -> Filter {
    let EndpointArgs { topics, exclude, nodes, .. } = args;
    Filter::new().topics(topics).exclude(exclude).nodes(nodes.iter().copied())
}

/// A log line about what the daemon is going to do. `url` is that of the endpoint that is set over the socket; only its scheme,
/// host and port are shown.
pub(crate) fn summary(
    options: &Run,
    listens: Option<SocketAddr>,
    endpoints: &[Declared],
    url: Option<&str>,
) -> String {
    let read = options.events.as_deref().map(|path| match path {
        path if path == Path::new("-") => "events of standard input".to_owned(),
        path => format!("events of {}", path.display()),
    });
    let posted = listens.map(|address| {
        let signed = if options.listen_secret_file.is_empty() { "" } else { "signed " };
        format!("{signed}events posted to http://{address}/")
    });
    // There are no credentials in the URL of a stream.
    let read = options.from_stream.url().map(|url| format!("events of {url}")).or(read);
    let what = match (read, posted) {
        (None, None) => "no events".to_owned(),
        (Some(what), None) | (None, Some(what)) => what,
        (Some(read), Some(posted)) => format!("{read} and {posted}"),
    };
    let [Declared { args, url: declared, .. }] = endpoints else {
        let names: Vec<_> =
            endpoints.iter().map(|it| it.args.name.as_str()).take(NAMED_MAX).collect();
        let more = if endpoints.len() > NAMED_MAX { ", ..." } else { "" };
        return format!(
            "delivering {what} to {} endpoints: {}{more}",
            endpoints.len(),
            names.join(", ")
        );
    };
    // That of the endpoint `pilot` may have been set over the socket.
    let url = if args.name == PILOT { url } else { Some(declared.as_str()) };
    let to = url.map_or("nowhere until a webhook is set", origin);
    let delivery = &args.delivery;
    let signed = signing::word(&delivery.endpoint);
    if let Some(path) = &options.store.outbox {
        return format!("delivering {what} to {to}, {signed}, by the outbox {}", path.display());
    }
    if options.from_stream.is_given() {
        return format!("delivering {what} to {to}, {signed}");
    }
    let full = if delivery.blocks() { OnFullArg::Block } else { delivery.on_full };
    format!(
        "delivering {what} to {to}, {signed}; --on-full {}, --on-open {}",
        word(&full),
        word(&delivery.on_open)
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

/// Reads the trusted certificates of an endpoint again. Where that fails, the old ones still count. `of` is what log lines
/// call it.
pub(crate) async fn read_trust_again(endpoint: &HubEndpoint, of: &str) {
    let trusting = endpoint.clone();
    let read = aside(move || trusting.reload_trust().map_err(Failure::runtime));
    match read.await.and_then(|read| read) {
        Ok(_) => info!("the trusted certificates{of} were read again"),
        Err(failure) => {
            warn!("the trusted certificates{of} are still the old ones: {}", failure.message);
        }
    }
}

/// Reads the secrets and headers of an endpoint again, as [`read_trust_again`] does.
pub(crate) async fn read_again(endpoint: &HubEndpoint, args: &Arc<EndpointArgs>, of: &str) {
    signing::reload(endpoint, args, of).await;
    let again = Arc::clone(args);
    let files = args.delivery.endpoint.asks.files();
    let read = move || again.delivery.endpoint.asks.headers().map_err(|wrong| wrong.what);
    let has_files = !files.is_empty();
    let headers: Result<RequestHeaders, Failure> = signing::read_again(files, read).await;
    signing::report(
        has_files,
        &format!("the headers{of}"),
        headers.map(|headers| endpoint.set_headers(&headers)),
    );
}
