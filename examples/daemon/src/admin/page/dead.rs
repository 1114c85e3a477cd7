//! The dead letters of the outbox's file: looked at, replayed and discarded. It blocks on the disk.

use std::path::Path;

use pilot_webhook_std::outbox::{DeadLetter, OutboxError, OutboxFile, Which};
use tracing::warn;

use super::super::history::Cut;
use super::view::{harmless, shown};

/// Dead letters that are shown at a time.
const SHOWN: usize = 50;
/// The longest data of one that is shown.
const DATA_MAX: usize = 16 * 1024;

/// What is shown of the dead letters.
pub(super) enum Letters {
    /// There is no outbox.
    NoOutbox,
    /// Its file cannot be read, which was logged.
    Unreadable,
    /// These are there.
    There {
        count: u64,
        letters: Vec<Letter>,
        /// The id behind which there may be more.
        next: Option<u64>,
    },
}

/// A dead letter, as texts.
pub(super) struct Letter {
    pub(super) id: u64,
    pub(super) at: String,
    pub(super) why: String,
    pub(super) topic: String,
    pub(super) attempts: String,
    pub(super) target: String,
    pub(super) data: String,
    /// A replay was asked for.
    pub(super) is_asked_for: bool,
}

/// Which ones.
#[derive(Clone, Copy)]
pub(super) enum Chosen {
    All,
    One(u64),
}

impl From<Chosen> for Which<'_> {
    fn from(chosen: Chosen) -> Self {
        match chosen {
            Chosen::All => Self::All,
            Chosen::One(id) => Self::Id(id),
        }
    }
}

impl Letters {
    fn none() -> Self {
        Self::There { count: 0, letters: Vec::new(), next: None }
    }

    /// Those of an endpoint, behind the id `after`.
    pub(super) fn read(path: Option<&Path>, endpoint: &str, after: u64) -> Self {
        let Some(path) = path else { return Self::NoOutbox };
        let look = || {
            let file = OutboxFile::open(path)?;
            let Some(count) = count_in(&file, endpoint)? else { return Ok(Self::none()) };
            let found = file.dead(endpoint, after, SHOWN)?;
            let next = found.last().filter(|_| found.len() == SHOWN).map(|last| last.event.id);
            let letters = found.into_iter().map(Letter::from).collect();
            Ok(Self::There { count, letters, next })
        };
        look().unwrap_or_else(|error: OutboxError| {
            warn!("the page cannot show the dead letters: {error}");
            Self::Unreadable
        })
    }
}

/// How many there are of an endpoint. `None` where they cannot be counted.
pub(super) fn count(path: &Path, endpoint: &str) -> Option<u64> {
    count_in(&OutboxFile::open(path).ok()?, endpoint).ok()?
}

/// `None`: the file has never had an event for it.
fn count_in(file: &OutboxFile, endpoint: &str) -> Result<Option<u64>, OutboxError> {
    let all = file.status()?.endpoints;
    Ok(all.iter().find(|it| it.name == endpoint).map(|it| it.ledger.dead))
}

/// Has them put back.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn replay(path: &Path, endpoint: &str, chosen: Chosen) -> Result<u64, OutboxError> {
    OutboxFile::open(path)?.replay(chosen.into(), Some(endpoint))
}

/// Removes them for good.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn discard(path: &Path, endpoint: &str, chosen: Chosen) -> Result<u64, OutboxError> {
    OutboxFile::open(path)?.purge(chosen.into(), Some(endpoint))
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { event, died_at, reason, replay, .. } = letter;
        let last = match (reason.status, &reason.error) {
            (Some(status), _) => format!(", answered {status}"),
            (None, Some(error)) => format!(", {error}"),
            (None, None) => String::new(),
        };
        let attempts = match reason.attempts {
            1 => "1 attempt".to_owned(),
            attempts => format!("{attempts} attempts"),
        };
        let data = event.data.as_deref().unwrap_or_default();
        Self {
            id: event.id,
            at: died_at.to_string(),
            why: harmless(&format!("{}{last}", reason.fate.name())),
            topic: harmless(&event.topic),
            attempts,
            target: harmless(&reason.url),
            data: shown(&Cut::new(data.as_bytes(), DATA_MAX)),
            is_asked_for: replay,
        }
    }
}
