//! One transaction, with what it does to the counters.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::ledger::{Counter, Counts};

/// The counters within a transaction.
#[derive(Debug)]
pub(crate) struct Change {
    before: Counts,
    delta: Counts,
}

impl Change {
    pub(crate) const fn add(&mut self, counter: Counter, number: i64) {
        self.delta.add(counter, number);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.before.plus(&self.delta)
    }

    /// The next id.
    pub(crate) const fn next_id(&mut self) -> i64 {
        self.add(Counter::LastId, 1);
        self.before.get(Counter::LastId) + self.delta.get(Counter::LastId)
    }

    fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut update =
            connection.prepare("UPDATE counters SET value = value + ?1 WHERE name = ?2")?;
        for (counter, name) in Counter::ALL {
            match self.delta.get(counter) {
                0 => {}
                number => _ = update.execute((number, name))?,
            }
        }
        Ok(())
    }
}

/// Does `work` and what it counted in one transaction. It is on disk when this returns, with the counters
/// as they are then; after an error nothing of it has happened.
pub(crate) fn transaction<T>(
    connection: &Connection,
    work: impl FnOnce(&mut Change) -> rusqlite::Result<T>,
) -> rusqlite::Result<(T, Counts)> {
    // It takes the write lock at once, so that nobody writes between what is read and what is written.
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let mut change = Change { before: Counts::read(connection)?, delta: Counts::default() };
    let done = work(&mut change)?;
    change.write(connection)?;
    transaction.commit()?;
    Ok((done, change.counts()))
}
