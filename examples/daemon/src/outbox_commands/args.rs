//! The command line of `outbox`.

use std::path::PathBuf;

use clap::Subcommand;
use pilot_webhook_std::outbox::Which;

use crate::Failure;

#[derive(Subcommand)]
pub(crate) enum OutboxCommand {
    /// Show how many events wait, how long, and what became of all others.
    Status(Place),
    /// List the events that wait, one a line, the next one first; of several endpoints one after the other.
    List(Place),
    /// List the dead letters, one a line, the oldest first; of several endpoints one after the other.
    Dead(Place),
    /// Show one event, with all of its data.
    Show {
        /// The event's id.
        id: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Have dead letters delivered again. They get new ids, behind all that waits.
    Replay {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        place: Place,
    },
    /// Remove dead letters for good; or with --waiting what waits for an endpoint that does not come back.
    Purge {
        /// All events that wait for the endpoint, and no dead letters.
        #[arg(long, requires = "endpoint", conflicts_with_all = ["id", "all", "topic"])]
        waiting: bool,
        /// Also while a daemon has the file, which may deliver for that endpoint.
        #[arg(long, requires = "waiting")]
        anyway: bool,
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        place: Place,
    },
    /// Write events as `run --events` reads them, as JSON: first those that wait, each once, then the dead letters.
    Export {
        /// Only the events that wait.
        #[arg(long)]
        waiting: bool,
        /// Only the dead letters.
        #[arg(long, conflicts_with = "waiting")]
        dead: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Check the whole file, and that its counters agree with what is in it. Exits 1 when something is wrong.
    Verify(Place),
}

/// Which file, and how its content is shown.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// The outbox's file, as for `run`.
    #[arg(long, value_name = "FILE")]
    pub(super) outbox: PathBuf,
    /// Only what is for the endpoint of this name.
    #[arg(long, value_name = "NAME")]
    pub(super) endpoint: Option<String>,
    /// Print JSON, an object a line.
    #[arg(long)]
    pub(super) json: bool,
}

impl Place {
    pub(super) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }
}

/// Which dead letters. One of the three has to be given.
#[derive(clap::Args)]
pub(crate) struct Selection {
    /// The dead letter with this id.
    #[arg(conflicts_with_all = ["all", "topic"])]
    id: Option<u64>,
    /// All dead letters.
    #[arg(long, conflicts_with = "topic")]
    all: bool,
    /// Those whose topic matches: `*` stands for any text, everything else for itself.
    #[arg(long, value_name = "GLOB")]
    topic: Option<String>,
}

impl Selection {
    /// # Errors
    /// When nothing was selected: that it stands for everything would be dangerous.
    pub(super) fn which(&self, command: &str) -> Result<Which<'_>, Failure> {
        match (self.id, &self.topic) {
            (Some(id), _) => Ok(Which::Id(id)),
            (None, Some(glob)) => Ok(Which::Topic(glob)),
            (None, None) if self.all => Ok(Which::All),
            (None, None) => Err(Failure::usage(format!(
                "{command} needs to know which dead letters: an ID, --topic GLOB or --all (see --help)"
            ))),
        }
    }
}
