//! `test`: sends one event, once, and says what happened and what to mend.

mod advice;
mod certificate;
mod show;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use pilot_webhook_std::{Client, Destination, HttpReport, Reply, Verdict};
use serde_json::json;
use tokio::sync::mpsc;

use self::certificate::Certificate;
use crate::aside::aside;
use crate::endpoint::{Endpoint, NodeId};
use crate::{Failure, logging, print, webhook_url};

/// The topic of the event.
pub(crate) const TOPIC: &str = "webhook.test";

#[derive(clap::Args)]
pub(crate) struct Test {
    /// Where the event is sent to.
    #[arg(value_parser = NonEmptyStringValueParser::new(), required_unless_present = "webhook_file")]
    url: Option<String>,
    /// The file that the URL is in, so that it is not on the command line, which everybody can read.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    webhook_file: Option<PathBuf>,
    #[command(flatten)]
    node: NodeId,
    #[command(flatten)]
    endpoint: Endpoint,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

/// How the attempt ended.
enum End {
    /// The receiver answered.
    Answer(Reply),
    /// There is no answer, for a reason, with what to mend.
    Fault { reason: String, advice: &'static str },
    /// The time was over.
    Silence,
}

/// All that is known of the attempt.
struct Outcome {
    /// The webhook's scheme, host and port.
    origin: String,
    timeout: Duration,
    report: HttpReport,
    certificate: Option<Certificate>,
    end: End,
}

impl Outcome {
    fn is_accepted(&self) -> bool {
        matches!(self.end, End::Answer(Reply { verdict: Verdict::Accepted, .. }))
    }
}

/// Sends the event, and prints what happened.
///
/// # Errors
/// When an option cannot be used, and when the event was not accepted.
pub(crate) async fn test(options: Arc<Test>) -> Result<(), Failure> {
    logging::start_for_command();
    let (tell, mut told) = mpsc::channel(1);
    let (is_json, for_setup) = (options.json, Arc::clone(&options));
    let client = aside(move || client(&for_setup, tell)).await??;
    client.emit(TOPIC, &json!({"sender": "pilot-webhookd test"})).map_err(Failure::runtime)?;
    let outcome = told.recv().await.ok_or_else(|| Failure::runtime("it was not sent"))?;
    if is_json {
        print(&show::json(&outcome))?;
    } else {
        print(&show::text(&outcome))?;
    }
    // Nothing awaits from here on, so there is no second attempt.
    if outcome.is_accepted() { Ok(()) } else { Err(Failure::undelivered(show::verdict(&outcome))) }
}

/// A client that tells the outcome of its first attempt. Reads files, which may be pipes.
fn client(options: &Test, tell: mpsc::Sender<Outcome>) -> Result<Client, Failure> {
    let endpoint = &options.endpoint;
    let url = webhook_url::given(options.url.clone(), options.webhook_file.as_deref())?;
    let target = Destination::parse(&url, endpoint.policy()).map_err(Failure::usage)?;
    if target.http().is_none() {
        return Err(Failure::usage("test is for webhooks that begin with http:// or https://"));
    }
    let (origin, timeout) = (target.origin(), endpoint.http_timeout);
    let is_https = origin.starts_with("https:");
    let http = endpoint.http()?.on_report(move |report, result| {
        let certificate = report.certificate.as_deref().and_then(Certificate::parse);
        let end = match result {
            Some(Ok(reply)) => End::Answer(*reply),
            Some(Err(error)) => End::Fault {
                reason: error.to_string(),
                advice: advice::of_error(error, certificate.as_ref(), is_https),
            },
            None => End::Silence,
        };
        let (origin, report) = (origin.clone(), report.clone());
        // Of a further attempt nobody wants to know.
        let _ = tell.try_send(Outcome { origin, timeout, report, certificate, end });
    });
    let builder = Client::builder(url).node_id(options.node.node_id);
    endpoint.client(builder)?.http(http).build().map_err(Failure::usage)
}
