//! Whether the file is whole, before somebody relies on it: a writer would fail again and again.
//!
//! A short file is read as a whole when it is opened, and one that is damaged is refused. A long one is read meanwhile, by a
//! thread of its own; when it is damaged, nothing new goes into it.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle};

use super::error::OutboxErrorKind;
use super::intake::Intake;
use super::schema::{self, Opener};

/// The longest file that is read as a whole when it is opened, in bytes: a second or so on a slow disk.
const AT_OPEN_MAX: i64 = 64 << 20;
/// How often a check is told to end, as it may not have begun.
const TELL: Duration = Duration::from_millis(5);

/// Refuses a short file that is damaged.
pub(crate) fn at_open(connection: &Connection) -> Result<(), OutboxErrorKind> {
    if is_long(connection)? { Ok(()) } else { whole(connection) }
}

fn is_long(connection: &Connection) -> rusqlite::Result<bool> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok(number("page_count")? * number("page_size")? > AT_OPEN_MAX)
}

fn whole(connection: &Connection) -> Result<(), OutboxErrorKind> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(OutboxErrorKind::Corrupt) }
}

/// The thread that reads a long file.
pub(crate) struct Check {
    thread: JoinHandle<()>,
    interrupt: InterruptHandle,
}

impl Check {
    /// Reads the file `path`, to which `writes` is a connection, if it is long. The intake is told that it is damaged.
    pub(crate) fn begin(
        path: &Path,
        writes: &Connection,
        intake: &Arc<Intake>,
    ) -> Result<Option<Self>, OutboxErrorKind> {
        if !is_long(writes)? {
            return Ok(None);
        }
        let connection = schema::open(path, Opener::Tool)?;
        let interrupt = connection.get_interrupt_handle();
        let (intake, path) = (Arc::clone(intake), path.to_owned());
        let check = move || match whole(&connection) {
            Err(kind @ OutboxErrorKind::Corrupt) => {
                intake.damaged();
                tracing::error!("{}; new events are not taken until then", kind.at(&path));
            }
            // It was told to end.
            Err(_) if !intake.is_open() => {}
            Err(kind) => tracing::warn!("{}: whether it is whole is not known", kind.at(&path)),
            Ok(()) => {}
        };
        let thread = thread::Builder::new().name("outbox-check".to_owned()).spawn(check)?;
        Ok(Some(Self { thread, interrupt }))
    }

    /// Ends it. Its connection is closed then.
    pub(crate) fn end(self) {
        while !self.thread.is_finished() {
            self.interrupt.interrupt();
            thread::sleep(TELL);
        }
        let _ = self.thread.join();
    }
}
