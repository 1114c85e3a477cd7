//! What people remove for good.

use super::change::Books;
use super::error::OutboxError;
use super::event::EndpointId;
use super::ledger::{Counter, Counts, Entry};
use super::tools::{OutboxFile, Which};
use super::upkeep;

impl OutboxFile {
    /// Removes dead letters for good, of all endpoints or of one, and returns how many.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn purge(&self, which: Which<'_>, endpoint: Option<&str>) -> Result<u64, OutboxError> {
        let endpoints = self.endpoints(endpoint)?;
        self.told(self.purge_of(which, &endpoints))
    }

    fn purge_of(
        &self,
        which: Which<'_>,
        endpoints: &[(EndpointId, String)],
    ) -> rusqlite::Result<u64> {
        let (condition, value) = which.condition();
        let sql = format!("DELETE FROM dead WHERE endpoint = ?2 AND {condition}");
        let mut purge = self.connection.prepare(&sql)?;
        let mut forget = self.connection.prepare(
            "DELETE FROM replays WHERE endpoint = ?1
             AND id NOT IN (SELECT id FROM dead WHERE endpoint = ?1)",
        )?;
        let (all, _) = Books::new(&self.connection)?.transaction(|change| {
            let mut all = 0;
            for (endpoint, _) in endpoints {
                let purged = purge.execute((&value, endpoint))?;
                if purged > 0 {
                    forget.execute([endpoint])?;
                    let number = i64::try_from(purged).unwrap_or(i64::MAX);
                    change.of(*endpoint)?.add(Entry::Purged, number);
                }
                all += purged as u64;
            }
            Ok(all)
        })?;
        Ok(all)
    }

    /// Removes what waits for an endpoint, and returns how many events that were: for one that does not come back. Its dead
    /// letters stay. What a live outbox stores meanwhile for it stays, too; and what its deliverer has read is sent all the
    /// same.
    ///
    /// # Errors
    /// As [`list`](Self::list). What was removed until then is.
    pub fn purge_waiting(&self, endpoint: &str) -> Result<u64, OutboxError> {
        let endpoint = self.endpoint(endpoint)?;
        let last = self.told(Counts::read(&self.connection))?.get(Counter::LastId);
        let mut all = 0;
        // In slices, so that nobody waits long for the file.
        while let Some(slice) = self.told(upkeep::clear(&self.connection, endpoint, last))? {
            all += slice.events.unsigned_abs();
        }
        Ok(all)
    }
}
