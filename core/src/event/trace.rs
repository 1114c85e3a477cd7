//! The trace that an event is part of.

/// The bytes of a trace's id.
const ID: usize = 16;
/// The flag that asks for the trace to be recorded.
const SAMPLED: u8 = 1;

/// The trace that an event is part of, as W3C Trace Context has it: its id, and whether it is recorded. What is sent of the
/// event is in the same trace, as spans of its own.
///
/// ```
/// use pilot_webhook_core::TraceContext;
/// let header = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let trace = TraceContext::parse(header).unwrap();
/// assert!(trace.is_sampled());
/// assert_eq!(trace.id()[0], 0x0a);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    id: [u8; ID],
    is_sampled: bool,
}

impl TraceContext {
    /// Bytes of it in a queue.
    pub(crate) const LENGTH: usize = ID + 1;

    /// That of a header `traceparent`; `None` when the header is none by the rules of W3C, which is then as if it were not
    /// there. What a later version of the standard adds behind its four fields is passed over.
    #[must_use]
    pub fn parse(header: &[u8]) -> Option<Self> {
        let ([version], rest) = field(header)?;
        let (id, rest) = field(rest.strip_prefix(b"-")?)?;
        let (span, rest) = field::<8>(rest.strip_prefix(b"-")?)?;
        let ([flags], rest) = field(rest.strip_prefix(b"-")?)?;
        let ends = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => matches!(rest, [] | [b'-', ..]),
        };
        // Zero is no trace and no span.
        let is_one = ends && id != [0; ID] && span != [0; 8];
        is_one.then_some(Self { id, is_sampled: flags & SAMPLED != 0 })
    }

    /// The trace's id, which is not zero.
    #[must_use]
    pub const fn id(self) -> [u8; 16] {
        self.id
    }

    /// Whether the trace is recorded: the flag `sampled`.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.is_sampled
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [u8::from(self.is_sampled); Self::LENGTH];
        bytes[..ID].copy_from_slice(&self.id);
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) made.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&id, rest) = bytes.split_first_chunk()?;
        Some(Self { id, is_sampled: rest == [1] })
    }
}

/// The bytes that the first digits stand for, two each and in lower case, and what is behind them.
fn field<const BYTES: usize>(text: &[u8]) -> Option<([u8; BYTES], &[u8])> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (digits, rest) = text.split_at_checked(2 * BYTES)?;
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some((bytes, rest))
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn parse(text: &str) -> Option<(u8, bool)> {
        let trace = TraceContext::parse(text.as_bytes())?;
        assert_eq!(TraceContext::from_bytes(&trace.to_bytes()), Some(trace));
        Some((trace.id()[15], trace.is_sampled()))
    }

    /// After W3C's own test suite of the header.
    #[test]
    fn the_rules_are_those_of_the_standard() {
        for (text, expected) in [
            (format!("00-{ID}-{SPAN}-00"), Some((0x9c, false))),
            (format!("00-{ID}-{SPAN}-01"), Some((0x9c, true))),
            // Of the other flags nothing is known.
            (format!("00-{ID}-{SPAN}-ff"), Some((0x9c, true))),
            (format!("00-{ID}-{SPAN}-fe"), Some((0x9c, false))),
            // A later version.
            (format!("cc-{ID}-{SPAN}-01"), Some((0x9c, true))),
            (format!("cc-{ID}-{SPAN}-01-what-the-future-adds"), Some((0x9c, true))),
            (format!("cc-{ID}-{SPAN}-01."), None),
            (format!("cc-{ID}-{SPAN}-01what"), None),
            (format!("ff-{ID}-{SPAN}-01"), None),
            (format!("00-{ID}-{SPAN}-01-"), None),
            (format!("00-{ID}-{SPAN}-01-more"), None),
            (format!("0-{ID}-{SPAN}-01"), None),
            (format!(".0-{ID}-{SPAN}-01"), None),
            (format!("00-{ID}-{SPAN}-1"), None),
            (format!("00-{ID}-{SPAN}-.0"), None),
            (format!("00-{ID}-{SPAN}"), None),
            (format!("00-{}-{SPAN}-01", ID.to_uppercase()), None),
            (format!("00-{ID}-{}-01", SPAN.to_uppercase()), None),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
            (format!("00-{ID}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{SPAN}-01", &ID[1..]), None),
            (format!("00-{ID}0-{SPAN}-01"), None),
            (format!("00_{ID}_{SPAN}_01"), None),
            (format!(" 00-{ID}-{SPAN}-01"), None),
            (format!("00-{ID}-{SPAN}-0\u{e9}"), None),
            (std::string::String::new(), None),
        ] {
            assert_eq!(parse(&text), expected, "{text}");
        }
    }
}
