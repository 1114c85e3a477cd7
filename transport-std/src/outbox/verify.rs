//! Whether a file is sound: what is counted, against what is there.

use rusqlite::Connection;

use super::error::OutboxError;
use super::event::{DELIVERY, EndpointId, ROW, TEXTS};
use super::ledger::{Account, Counter, Counts, Entry, Ledger, accounts};
use super::tools::{OutboxFile, number};

/// Whether the file is sound.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// What became of all events, of all endpoints together.
    pub ledger: Ledger,
    /// What is wrong, a sentence each. Empty: all is well.
    pub problems: Vec<String>,
}

impl OutboxFile {
    /// Checks the database, and that its counters agree with one another and with what is there.
    ///
    /// # Errors
    /// When the file cannot be read at all.
    pub fn verify(&self) -> Result<Verification, OutboxError> {
        let look = || {
            let snapshot = self.connection.unchecked_transaction()?;
            let mut check = snapshot.prepare("PRAGMA integrity_check")?;
            // What is damaged too badly ends the check with an error, which is a finding as well.
            let mut problems: Vec<String> = check
                .query_map((), |row| row.get(0))?
                .map(|line| line.unwrap_or_else(|error| error.to_string()))
                .filter(|line| line != "ok")
                .collect();
            let counts = Counts::read(&snapshot)?;
            let accounts = accounts(&snapshot)?;
            // Where the database is damaged, nothing can be counted.
            match compare(&snapshot, &counts, &accounts) {
                Ok(found) => problems.extend(found),
                Err(error) => problems.push(format!("what is there cannot be counted: {error}")),
            }
            let ledger = Ledger::of_file(&counts, accounts.iter().map(|(.., account)| account));
            Ok(Verification { ledger, problems })
        };
        self.told(look())
    }
}

/// Where the counters do not agree with one another or with what is there.
fn compare(
    snapshot: &Connection,
    counts: &Counts,
    accounts: &[(EndpointId, String, Account)],
) -> rusqlite::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut check = |what: &str, counted: i64, there: i64| {
        if there != counted {
            problems.push(format!("{what}: {counted} by the counters, {there} there"));
        }
    };
    let bytes = format!("SELECT ifnull(sum({TEXTS} + {ROW} + {DELIVERY} * due), 0) FROM events");
    for (what, counter, sql) in [
        ("events that wait", Counter::Events, "SELECT count(*) FROM events"),
        ("their bytes", Counter::StoredBytes, bytes.as_str()),
        ("origins", Counter::Origins, "SELECT count(*) FROM origins"),
    ] {
        check(what, counts.get(counter), number(snapshot, sql)?);
    }
    let mut waiting = snapshot
        .prepare("SELECT ifnull(sum(last - first + 1), 0) FROM deliveries WHERE endpoint = ?1")?;
    let mut bytes = snapshot.prepare(&format!(
        "SELECT ifnull(sum({TEXTS} + {ROW} + {DELIVERY}), 0)
         FROM deliveries CROSS JOIN events ON id BETWEEN first AND last WHERE endpoint = ?1"
    ))?;
    let mut dead = snapshot.prepare("SELECT count(*) FROM dead WHERE endpoint = ?1")?;
    for (id, name, account) in accounts {
        for (what, counted, statement) in [
            ("events that wait for", account.stored(), &mut waiting),
            ("bytes that wait for", account.get(Entry::StoredBytes), &mut bytes),
            ("dead letters of", account.dead(), &mut dead),
        ] {
            let there = statement.query_row([id], |row| row.get(0))?;
            check(&format!("{what} {name}"), counted, there);
        }
    }
    let wrong = number(
        snapshot,
        "SELECT count(*) FROM events
             LEFT JOIN (SELECT id, count(*) AS there
                        FROM deliveries CROSS JOIN events ON id BETWEEN first AND last
                        GROUP BY id) USING (id)
         WHERE due IS NOT there",
    )?;
    if wrong > 0 {
        problems.push(format!("{wrong} events wait for more or fewer endpoints than they say"));
    }
    let tried = number(
        snapshot,
        "SELECT count(*) FROM attempts WHERE ifnull(event <
             (SELECT first FROM deliveries
              WHERE deliveries.endpoint = attempts.endpoint AND last >= event
              ORDER BY last LIMIT 1), TRUE)",
    )?;
    if tried > 0 {
        problems.push(format!("{tried} attempts are noted of events that do not wait"));
    }
    let greatest = number(
        snapshot,
        "SELECT max(ifnull((SELECT max(id) FROM events), 0),
                    ifnull((SELECT max(id) FROM dead), 0))",
    )?;
    let last = counts.get(Counter::LastId);
    if greatest > last {
        problems.push(format!("id {greatest} is there, and {last} was given last"));
    }
    for (counter, name) in Counter::ALL {
        if counts.get(counter) < 0 {
            problems.push(format!("the counter {name} is negative"));
        }
    }
    for (_, endpoint, account) in accounts {
        for (entry, name) in Entry::ALL {
            if account.get(entry) < 0 {
                problems.push(format!("the counter {name} of {endpoint} is negative"));
            }
        }
    }
    Ok(problems)
}
