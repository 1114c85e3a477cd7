//! One transaction, with what it does to the counters.

use std::collections::BTreeMap;

use rusqlite::{Connection, Statement, Transaction, TransactionBehavior, params_from_iter};

use super::event::EndpointId;
use super::ledger::{Account, Counter, Counts, Entry};
use super::run::Run;

/// The counters of a file, with the statements that read and write them.
pub(crate) struct Books<'c> {
    connection: &'c Connection,
    counts: Statement<'c>,
    count: Statement<'c>,
    account: Statement<'c>,
    enter: Statement<'c>,
}

/// What a transaction did, in numbers: so far, or when it is on disk.
pub(crate) struct Change<'b, 'c> {
    counts: Counts,
    delta: Counts,
    endpoints: BTreeMap<EndpointId, Touched>,
    account: &'b mut Statement<'c>,
}

/// The account of an endpoint, as far as a transaction changed it.
#[derive(Debug)]
pub(crate) struct Touched {
    account: Account,
    delta: Account,
    /// The last event that was stored for it; 0 when none was.
    pub(crate) newest: i64,
    /// The events whose deliveries are not written yet.
    begun: Vec<Run>,
}

/// What is on disk.
#[derive(Debug)]
pub(crate) struct Changed {
    /// The counters, as they are now.
    pub(crate) counts: Counts,
    /// The endpoints whose accounts changed.
    pub(crate) endpoints: BTreeMap<EndpointId, Touched>,
}

impl Touched {
    pub(crate) const fn add(&mut self, entry: Entry, number: i64) {
        self.account.add(entry, number);
        self.delta.add(entry, number);
    }

    /// An event is stored for it, the newest of all: whether it was not before. Its delivery is to be written.
    pub(crate) fn store(&mut self, id: i64) -> bool {
        if self.newest == id {
            return false;
        }
        Run::add(&mut self.begun, id);
        self.newest = id;
        true
    }

    /// As it is with what the transaction did so far.
    pub(crate) const fn account(&self) -> &Account {
        &self.account
    }

    /// What the transaction did.
    pub(crate) const fn delta(&self) -> &Account {
        &self.delta
    }
}

impl Change<'_, '_> {
    pub(crate) const fn add(&mut self, counter: Counter, number: i64) {
        self.counts.add(counter, number);
        self.delta.add(counter, number);
    }

    /// As they are with what the transaction did so far.
    pub(crate) const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The next id.
    pub(crate) const fn next_id(&mut self) -> i64 {
        self.add(Counter::LastId, 1);
        self.counts.get(Counter::LastId)
    }

    /// The account of an endpoint that the file has.
    pub(crate) fn of(&mut self, endpoint: EndpointId) -> rusqlite::Result<&mut Touched> {
        use std::collections::btree_map::Entry::{Occupied, Vacant};
        match self.endpoints.entry(endpoint) {
            Occupied(touched) => Ok(touched.into_mut()),
            Vacant(place) => {
                let account =
                    self.account.query_row([endpoint], |row| Account::from_row(row, 0))?;
                Ok(place.insert(Touched {
                    account,
                    delta: Account::default(),
                    newest: 0,
                    begun: Vec::new(),
                }))
            }
        }
    }

    /// The deliveries that it began, by endpoint; they are taken to be written from now on.
    pub(crate) fn take_runs(&mut self) -> impl Iterator<Item = (EndpointId, Vec<Run>)> {
        self.endpoints.iter_mut().map(|(id, it)| (*id, std::mem::take(&mut it.begun)))
    }

    /// The endpoints that it touched so far.
    pub(crate) fn touched(&self) -> Vec<EndpointId> {
        self.endpoints.keys().copied().collect()
    }
}

impl<'c> Books<'c> {
    pub(crate) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let columns = Entry::columns();
        let sums: Vec<String> = Entry::ALL
            .iter()
            .zip(2..)
            .map(|((_, name), place)| format!("{name} = {name} + ?{place}"))
            .collect();
        Ok(Self {
            connection,
            counts: connection.prepare(Counts::SQL)?,
            count: connection.prepare("UPDATE counters SET value = value + ?1 WHERE name = ?2")?,
            account: connection
                .prepare(&format!("SELECT {columns} FROM endpoints WHERE id = ?1"))?,
            enter: connection
                .prepare(&format!("UPDATE endpoints SET {} WHERE id = ?1", sums.join(", ")))?,
        })
    }

    /// Does `work` and what it counted in one transaction. It is on disk when this returns, with the counters as they
    /// are then; after an error nothing of it has happened.
    pub(crate) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Change<'_, 'c>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<(T, Changed)> {
        // It takes the write lock at once, so that nobody writes between what is read and what is written.
        let transaction =
            Transaction::new_unchecked(self.connection, TransactionBehavior::Immediate)?;
        let mut counts = Counts::default();
        let mut rows = self.counts.query(())?;
        while let Some(row) = rows.next()? {
            counts.add_row(row)?;
        }
        drop(rows);
        let mut change = Change {
            counts,
            delta: Counts::default(),
            endpoints: BTreeMap::new(),
            account: &mut self.account,
        };
        let done = work(&mut change)?;
        let Change { counts, delta, endpoints, .. } = change;
        for (counter, name) in Counter::ALL {
            match delta.get(counter) {
                0 => {}
                number => _ = self.count.execute((number, name))?,
            }
        }
        for (endpoint, touched) in &endpoints {
            let numbers = touched.delta.numbers().iter().copied();
            self.enter
                .execute(params_from_iter([i64::from(endpoint.0)].into_iter().chain(numbers)))?;
        }
        transaction.commit()?;
        Ok((done, Changed { counts, endpoints }))
    }
}
