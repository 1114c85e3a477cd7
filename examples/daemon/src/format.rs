//! The options about the format of bodies.

use clap::ValueEnum;
use pilot_webhook_core::{
    CloudEvents, CloudEventsBinaryFormat, CloudEventsError, CloudEventsFormat, PilotGoFormat,
};
use pilot_webhook_std::{ClientBuilder, HttpConfig};

use crate::wrong::Wrong;

#[derive(Clone, clap::Args)]
pub(crate) struct Format {
    /// How events become bodies: as pilot's Go plugin has them, as it has them to the last byte, or as CloudEvents
    /// 1.0 in structured or binary mode.
    #[arg(long, value_name = "FORMAT", default_value = "pilot")]
    format: Name,
    /// The source of CloudEvents, a URI. Without it: `urn:pilot:node:N`, with the event's node.
    #[arg(long, value_name = "URI", value_parser = source)]
    source: Option<String>,
    /// What the types of CloudEvents have in front of the topic.
    #[arg(long, value_name = "PREFIX", value_parser = type_prefix)]
    type_prefix: Option<String>,
    /// Ask each receiver for its consent before the first event is sent to it, by the handshake of CloudEvents' web
    /// hooks (OPTIONS), with this name of ours. It may lower --rate.
    #[arg(long, value_name = "NAME")]
    cloudevents_origin: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    Pilot,
    PilotGo,
    Cloudevents,
    CloudeventsBinary,
}

impl Format {
    /// The options of the transport.
    pub(crate) fn http(&self, http: HttpConfig) -> HttpConfig {
        match &self.cloudevents_origin {
            Some(origin) => http.handshake(origin),
            None => http,
        }
    }

    /// Whether several events may be in one body.
    pub(crate) fn has_batches(&self) -> bool {
        self.format != Name::CloudeventsBinary
    }

    /// The attributes that go with no such format.
    pub(crate) fn wrong(&self) -> Vec<Wrong> {
        if !matches!(self.format, Name::Pilot | Name::PilotGo) {
            return Vec::new();
        }
        let attributes = [("source", &self.source), ("type_prefix", &self.type_prefix)];
        let given = attributes.into_iter().filter(|(_, value)| value.is_some());
        given.map(|(key, _)| Wrong::new(key, "it goes with the format cloudevents")).collect()
    }

    /// Tells the client.
    ///
    /// # Errors
    /// When an attribute goes with no such format.
    pub(crate) fn choose(&self, builder: ClientBuilder) -> Result<ClientBuilder, Wrong> {
        if let Some(wrong) = self.wrong().pop() {
            return Err(wrong);
        }
        let text = |option: &Option<String>| option.clone().unwrap_or_default();
        let attributes = CloudEvents::new(text(&self.source), text(&self.type_prefix));
        let attributes = attributes.map_err(|error| Wrong::new("source", error))?;
        Ok(match self.format {
            Name::Pilot => builder,
            Name::PilotGo => builder.format(PilotGoFormat::EXACT),
            Name::Cloudevents => builder.format(CloudEventsFormat(attributes)),
            Name::CloudeventsBinary => builder.format(CloudEventsBinaryFormat(attributes)),
        })
    }
}

/// An attribute of CloudEvents.
fn source(text: &str) -> Result<String, CloudEventsError> {
    CloudEvents::new(text, "").map(|_| text.to_owned())
}

/// The same.
fn type_prefix(text: &str) -> Result<String, CloudEventsError> {
    CloudEvents::new("", text).map(|_| text.to_owned())
}
