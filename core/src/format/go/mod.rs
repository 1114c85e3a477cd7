//! The format of pilot's Go plugin to the last byte of the data: JSON text as Go's `encoding/json` writes it.

use crate::format::Format;
use crate::format::go::number::Floats;
use crate::format::pilot::{self, PilotFormat};
use crate::json::{EncodeError, Writer};
use crate::queue::{Bound, Events};
use crate::transport::Headers;

mod number;
mod value;

/// The JSON of pilot's Go plugin, byte for byte, so that its signatures are the same: keys are sorted, `<`, `>`,
/// `&`, U+2028 and U+2029 are escaped and no other characters than must be, and floats are written as Go does.
///
/// [`PilotFormat`] writes the same JSON, with the data as it was emitted. Use this one where somebody compares
/// bytes. It takes more time, and bodies may be six times as long as the texts: a worker's buffer holds shorter
/// events, and fewer in a batch.
///
/// Whole numbers that fit 64 bits stay as they are; a decoder in Go that makes `float64` of them does not see
/// more than 53 bits. Of members with the same key the last one counts.
#[derive(Clone, Copy, Debug)]
pub struct PilotGoFormat {
    floats: Floats,
}

impl PilotGoFormat {
    /// For all data.
    pub const EXACT: Self = Self { floats: number::exact };

    /// For data whose floats have the shortest digits already, as those of `Serialize` types have: floats that are
    /// written with more, in [`Json`](crate::Json) text by others, keep their digits. It takes 31 KB less flash on
    /// a microcontroller, as nothing reads floats.
    pub const SHORTEST: Self = Self { floats: number::as_written };
}

impl Default for PilotGoFormat {
    fn default() -> Self {
        Self::EXACT
    }
}

impl Format for PilotGoFormat {
    /// A `<` becomes six bytes. What members are sorted with takes less than what their quotes and colons leave.
    fn bound(&self) -> Bound {
        Bound { factor: 6, ..PilotFormat::BOUND }
    }

    fn encode(&self, events: &Events<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        pilot::body(events, out, |text, out| value::write(text.as_str(), out, self.floats))
    }

    fn headers<'h>(&'h self, events: &Events<'h>, headers: &mut Headers<'h>) {
        PilotFormat.headers(events, headers);
    }
}
