//! How long events have waited.

use pilot_webhook_core::Timestamp;

use super::error::OutboxError;
use super::handle::Outbox;

/// The first event that waits for each endpoint: by the primary keys, whatever else is there.
const SQL: &str = "SELECT name, seconds, nanos FROM endpoints
    JOIN events ON events.id =
        (SELECT first FROM deliveries WHERE endpoint = endpoints.id ORDER BY last LIMIT 1)";

impl Outbox {
    /// When the event happened that waits longest for each endpoint, by the endpoint's name, as it is on disk. Endpoints
    /// for which nothing waits are left out. It blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn oldest(&self) -> Result<Vec<(String, Timestamp)>, OutboxError> {
        self.look(|connection| {
            let mut statement = connection.prepare(SQL)?;
            let rows = statement.query_map((), |row| {
                // Only a file that was tampered with has others.
                let nanos = row.get::<_, u32>(2)?.min(999_999_999);
                Ok((row.get(0)?, Timestamp::new(row.get(1)?, nanos)))
            })?;
            rows.collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::schema::{self, Opener};

    #[test]
    fn it_is_looked_up_and_not_searched() {
        let directory = tempfile::tempdir().unwrap();
        let connection = schema::open(&directory.path().join("o.db"), Opener::Outbox).unwrap();
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {SQL}")).unwrap();
        let steps = plan.query_map((), |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<_> = steps.map(Result::unwrap).collect();
        assert!(
            steps.iter().all(|step| !step.contains("SCAN") || step.starts_with("SCAN endpoints")),
            "{steps:?}"
        );
        assert!(steps.iter().any(|step| step.starts_with("SEARCH deliveries")), "{steps:?}");
        assert!(steps.iter().any(|step| step.starts_with("SEARCH events")), "{steps:?}");
    }
}
