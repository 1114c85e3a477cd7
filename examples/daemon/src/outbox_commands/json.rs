//! What is in the file, as JSON. The keys are those of `docs/outbox.md`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use pilot_webhook_std::Timestamp;
use pilot_webhook_std::outbox::{
    DeadLetter, EndpointStatus, Ledger, OutboxStatus, Stored, Verification,
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::show::age;

/// An event as `run --events` reads it.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    node_id: u32,
    #[serde(serialize_with = "text")]
    timestamp: Timestamp,
}

impl<'a> Event<'a> {
    /// `None` when its data is not JSON, which only somebody else can have written to the file.
    pub(super) fn new(event: &'a Stored) -> Option<Self> {
        let data = match &event.data {
            Some(data) => Some(in_one_line(data)?),
            None => None,
        };
        let &Stored { ref topic, node_id, timestamp, .. } = event;
        Some(Self { topic, data, node_id, timestamp })
    }
}

fn in_one_line(json: &str) -> Option<Box<RawValue>> {
    let checked = RawValue::from_string(json.to_owned()).ok()?;
    if !json.contains(['\n', '\r']) {
        return Some(checked);
    }
    // Within a string they are escaped, so these stand between tokens.
    RawValue::from_string(json.replace(['\n', '\r'], " ")).ok()
}

/// An event, and all that is known of it.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    id: u64,
    state: &'static str,
    endpoint: &'a str,
    #[serde(flatten)]
    event: Event<'a>,
    #[serde(serialize_with = "text")]
    stored_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_id: Option<u64>,
    #[serde(flatten)]
    death: Option<Death<'a>>,
}

#[derive(Serialize)]
struct Death<'a> {
    #[serde(serialize_with = "text")]
    died_at: Timestamp,
    fate: &'static str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    url: &'a str,
    replay: bool,
}

impl<'a> Record<'a> {
    /// `None` as for [`Event::new`].
    pub(super) fn waiting(endpoint: &'a str, event: &'a Stored) -> Option<Self> {
        let &Stored { id, stored_at, origin_id, first_id, .. } = event;
        let event = Event::new(event)?;
        let (state, death) = ("waiting", None);
        Some(Self { id, state, endpoint, event, stored_at, origin_id, first_id, death })
    }

    /// `None` as for [`Event::new`].
    pub(super) fn dead(letter: &'a DeadLetter) -> Option<Self> {
        let &DeadLetter { ref endpoint, ref event, died_at, ref reason, replay, .. } = letter;
        let death = Death {
            died_at,
            fate: reason.fate.name(),
            attempts: reason.attempts,
            status: reason.status,
            error: reason.error.as_deref(),
            url: &reason.url,
            replay,
        };
        Some(Self { state: "dead", death: Some(death), ..Self::waiting(endpoint, event)? })
    }
}

#[derive(Serialize)]
pub(super) struct Status<'a> {
    #[serde(serialize_with = "text")]
    file: std::path::Display<'a>,
    file_bytes: u64,
    #[serde(serialize_with = "hex")]
    instance: u64,
    live: bool,
    #[serde(flatten)]
    ledger: Ledger,
    events: u64,
    last_id: u64,
    replays: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<Oldest>,
    positions: BTreeMap<&'a str, &'a str>,
    endpoints: Vec<Endpoint<'a>>,
}

#[derive(Serialize)]
struct Endpoint<'a> {
    endpoint: &'a str,
    #[serde(flatten)]
    ledger: Ledger,
    replays: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<Oldest>,
}

#[derive(Serialize)]
struct Oldest {
    id: u64,
    #[serde(serialize_with = "text")]
    stored_at: Timestamp,
    age_secs: u64,
}

impl Oldest {
    fn new(event: &Stored) -> Self {
        Self { id: event.id, stored_at: event.stored_at, age_secs: age(event).as_secs() }
    }
}

impl<'a> Endpoint<'a> {
    fn new(status: &'a EndpointStatus) -> Self {
        let EndpointStatus { name, ledger, oldest, replays, .. } = status;
        let oldest = oldest.as_ref().map(Oldest::new);
        Self { endpoint: name, ledger: *ledger, replays: *replays, oldest }
    }
}

impl<'a> Status<'a> {
    pub(super) fn new(path: &'a Path, status: &'a OutboxStatus) -> Self {
        let pairs = status.positions.iter();
        Self {
            file: path.display(),
            file_bytes: status.file_bytes,
            instance: status.instance,
            live: status.is_live,
            ledger: status.ledger,
            events: status.events,
            last_id: status.last_id,
            replays: status.replays,
            oldest: status.oldest.as_ref().map(Oldest::new),
            positions: pairs.map(|(source, text)| (&**source, &**text)).collect(),
            endpoints: status.endpoints.iter().map(Endpoint::new).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Verified<'a> {
    sound: bool,
    problems: &'a [String],
    #[serde(flatten)]
    ledger: Ledger,
}

impl<'a> Verified<'a> {
    /// With the account that is to be shown.
    pub(super) fn new(found: &'a Verification, ledger: Ledger) -> Self {
        let Verification { problems, .. } = found;
        Self { sound: problems.is_empty(), problems, ledger }
    }
}

fn text<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// As it stands in the file: it is no number to count with.
fn hex<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{number:016x}"))
}
