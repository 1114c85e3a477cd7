//! Standard output, for many lines.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write as _};

use pilot_webhook_std::Printable;
use pilot_webhook_std::outbox::OutboxError;

use crate::Failure;

/// Why a command ends before its end.
pub(super) enum Stop {
    /// Nobody reads on: who closed the pipe has had enough.
    Enough,
    /// It failed.
    Failed(Failure),
}

impl From<OutboxError> for Stop {
    fn from(error: OutboxError) -> Self {
        // One line, whatever the file is called.
        Self::Failed(Failure::runtime(Printable::new(error, 1_024)))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Enough,
            _ => Self::Failed(Failure::runtime(format!("standard output: {error}"))),
        }
    }
}

pub(super) struct Out(BufWriter<StdoutLock<'static>>);

impl Out {
    pub(super) fn new() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    pub(super) fn line(&mut self, text: impl Display) -> Result<(), Stop> {
        Ok(writeln!(self.0, "{text}")?)
    }

    /// Until then, lines may not have been written.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        Ok(self.0.flush()?)
    }
}
