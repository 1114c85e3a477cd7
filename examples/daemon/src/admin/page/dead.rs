//! The dead letters of the outbox's file: looked at, replayed and discarded. It blocks on the disk.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use pilot_webhook_std::outbox::{DeadLetter, Ledger, Outbox, OutboxError, OutboxFile, Which};
use serde::Serialize;
use tracing::warn;

use super::super::history::Cut;
use super::view::{harmless, shown};

/// Dead letters that are shown at a time.
const SHOWN: usize = 50;
/// The longest data of one that is shown.
const DATA_MAX: usize = 16 * 1024;

/// Where the dead letters of an endpoint are read, and behind which id.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) outbox: Outbox,
    pub(super) path: PathBuf,
    pub(super) endpoint: String,
    pub(super) after: u64,
}

/// What is shown of the dead letters.
pub(super) enum Letters {
    /// There is no outbox.
    NoOutbox,
    /// Its file cannot be read, which was logged.
    Unreadable,
    /// These are there.
    There(Shown),
}

/// Dead letters of an endpoint: those that are shown at a time.
pub(super) struct Shown {
    /// How many there are in all.
    pub(super) count: u64,
    pub(super) after: u64,
    pub(super) letters: Vec<Letter>,
    /// The id behind which there may be more.
    pub(super) next: Option<u64>,
}

/// A dead letter, as texts by the places that they stand in.
#[derive(Serialize)]
pub(super) struct Letter {
    pub(super) id: u64,
    /// A replay was asked for.
    #[serde(skip)]
    is_asked_for: bool,
    fields: BTreeMap<&'static str, String>,
}

/// What a page must do to show what is there.
#[derive(Serialize)]
pub(super) struct Change {
    pub(super) count: u64,
    /// Those that are shown, in their order.
    ids: Vec<u64>,
    /// Those among them that the page lacks, or has otherwise.
    letters: Vec<Letter>,
    next: Option<u64>,
}

/// What the reader of a page has.
pub(super) struct Reader {
    place: Place,
    /// The counters when it was told last: of which each letter that comes or goes changes one.
    told: Option<[u64; 6]>,
    /// Its letters, and of which a replay was asked for.
    has: HashMap<u64, bool>,
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

impl Place {
    /// What is there.
    pub(super) fn read(&self) -> Letters {
        match self.ledger().and_then(|ledger| self.shown(&ledger)) {
            Ok(shown) => Letters::There(shown),
            Err(error) => {
                warn!("the page cannot show the dead letters: {error}");
                Letters::Unreadable
            }
        }
    }

    fn ledger(&self) -> Result<Ledger, OutboxError> {
        Ok(self.outbox.ledger_of(&self.endpoint)?.unwrap_or_default())
    }

    fn shown(&self, ledger: &Ledger) -> Result<Shown, OutboxError> {
        let (count, after) = (ledger.dead, self.after);
        if count == 0 {
            // The file may never have had an event for it.
            return Ok(Shown { count, after, letters: Vec::new(), next: None });
        }
        let found = OutboxFile::open(&self.path)?.dead(&self.endpoint, after, SHOWN)?;
        let next = found.last().filter(|_| found.len() == SHOWN).map(|last| last.event.id);
        Ok(Shown { count, after, letters: found.into_iter().map(Letter::from).collect(), next })
    }
}

impl Reader {
    /// One that has nothing yet.
    pub(super) fn new(place: Place) -> Self {
        Self { place, told: None, has: HashMap::new() }
    }

    /// What it must be told. `None`: nothing is new, or the file cannot be read now.
    pub(super) fn look(&mut self) -> Option<Change> {
        let ledger = self.place.ledger().ok()?;
        let Ledger { rejected, exhausted, oversize, replayed, purged, expired, .. } = ledger;
        let counters = [rejected, exhausted, oversize, replayed, purged, expired];
        if self.told == Some(counters) {
            return None;
        }
        let Shown { count, letters, next, .. } = self.place.shown(&ledger).ok()?;
        self.told = Some(counters);
        let now: HashMap<_, _> = letters.iter().map(|it| (it.id, it.is_asked_for)).collect();
        let ids = letters.iter().map(|it| it.id).collect();
        let is_new = |it: &Letter| self.has.get(&it.id) != Some(&it.is_asked_for);
        let letters = letters.into_iter().filter(is_new).collect();
        self.has = now;
        Some(Change { count, ids, letters, next })
    }
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
        let fields = BTreeMap::from([
            ("at", died_at.to_string()),
            ("why", harmless(&format!("{}{last}", reason.fate.name()))),
            ("topic", harmless(&event.topic)),
            ("what", format!("event {}", event.id)),
            ("attempts", attempts),
            ("asked", if replay { "is put back" } else { "" }.to_owned()),
            ("target", harmless(&reason.url)),
            ("data", shown(&Cut::new(data.as_bytes(), DATA_MAX))),
        ]);
        Self { id: event.id, is_asked_for: replay, fields }
    }
}

impl Letter {
    /// One without texts, which the script fills in.
    pub(super) const fn empty() -> Self {
        Self { id: 0, is_asked_for: false, fields: BTreeMap::new() }
    }

    /// The text of a place.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}
