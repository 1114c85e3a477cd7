//! JSON text that is encoded already: checked against RFC 8259 and copied in one pass.

use crate::ascii::number;
use crate::json::error::EncodeError;
use crate::json::writer::{Writer, plain};

/// The deepest nesting of data that is taken (as in `serde_json`): what is deeper breaks receivers.
pub(super) const MAX_DEPTH: usize = 128;
const WORDS: usize = MAX_DEPTH / 32;

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    /// A value, or the end of an empty array.
    FirstElement,
    /// A key, or the end of an empty object.
    FirstKey,
    Key,
    Colon,
    /// A comma, or the end of the innermost array or object.
    Next,
}

/// The arrays and objects that are open: those of the text and those around it. (A `u128` for the bits would be shifted in 128 bits, which
/// small cores do slowly and at length.)
struct Open {
    depth: usize,
    /// One bit a level: set for an object.
    objects: [u32; WORDS],
}

impl Open {
    /// `None` when it is too deep.
    fn push(&mut self, is_object: bool) -> Option<()> {
        let word = self.objects.get_mut(self.depth / 32)?;
        let bit = 1 << (self.depth % 32);
        *word = if is_object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Some(())
    }

    /// Whether the innermost one is an object.
    fn innermost(&self) -> Option<bool> {
        let level = self.depth.checked_sub(1)?;
        self.objects.get(level / 32).map(|word| word >> (level % 32) & 1 == 1)
    }
}

/// Copies one JSON value without its insignificant white space.
pub(crate) fn copy(text: &str, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    copy_into(0, text, out)
}

/// Copies one JSON value that stands in as many arrays and objects as `outside` says.
pub(super) fn copy_into(
    outside: usize,
    text: &str,
    out: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    let mut rest = trim_json_start(text.as_bytes());
    let mut open = Open { depth: outside, objects: [0; WORDS] };
    let mut expect = Expect::Value;
    loop {
        let (&byte, after) = rest.split_first().ok_or(EncodeError::Json)?;
        let mut length = 1;
        expect = match (byte, expect) {
            (b'{' | b'[', Expect::Value | Expect::FirstElement) => {
                open.push(byte == b'{').ok_or(EncodeError::TooDeep)?;
                if byte == b'{' { Expect::FirstKey } else { Expect::FirstElement }
            }
            (b'}', Expect::FirstKey | Expect::Next) if open.innermost() == Some(true) => {
                open.depth -= 1;
                Expect::Next
            }
            (b']', Expect::FirstElement | Expect::Next) if open.innermost() == Some(false) => {
                open.depth -= 1;
                Expect::Next
            }
            (b',', Expect::Next) => match open.innermost().ok_or(EncodeError::Json)? {
                true => Expect::Key,
                false => Expect::Value,
            },
            (b':', Expect::Colon) => Expect::Value,
            (b'"', Expect::Key | Expect::FirstKey) => {
                length = copy_string(rest, out)?;
                Expect::Colon
            }
            (b'"', Expect::Value | Expect::FirstElement) => {
                length = copy_string(rest, out)?;
                Expect::Next
            }
            (_, Expect::Value | Expect::FirstElement) => {
                length = literal(rest).ok_or(EncodeError::Json)?;
                Expect::Next
            }
            _ => return Err(EncodeError::Json),
        };
        if byte != b'"' {
            out.push(rest.get(..length).unwrap_or_default())?;
        }
        rest = if length == 1 { after } else { rest.get(length..).unwrap_or_default() };
        rest = trim_json_start(rest);
        if open.depth == outside && expect == Expect::Next {
            return if rest.is_empty() { Ok(()) } else { Err(EncodeError::Json) };
        }
    }
}

/// RFC 8259 knows four characters of white space; `trim_ascii` would take a form feed too.
fn trim_json_start(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
    text.get(end.unwrap_or(text.len())..).unwrap_or_default()
}

/// The length of the number or name at the start.
fn literal(text: &[u8]) -> Option<usize> {
    for name in [&b"true"[..], b"false", b"null"] {
        if text.starts_with(name) {
            return Some(name.len());
        }
    }
    let digits = |from: usize| {
        let run = text.get(from..)?.iter().take_while(|b| b.is_ascii_digit()).count();
        (run > 0).then_some(from + run)
    };
    let start = usize::from(text.first() == Some(&b'-'));
    let mut end = if text.get(start) == Some(&b'0') { start + 1 } else { digits(start)? };
    if text.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let signed = matches!(text.get(end + 1), Some(b'+' | b'-'));
        end = digits(end + 1 + usize::from(signed))?;
    }
    Some(end)
}

/// Copies the string at the start and returns its length in `text`, quotes included.
fn copy_string(text: &[u8], out: &mut Writer<'_>) -> Result<usize, EncodeError> {
    let byte_at = |at: usize| text.get(at).copied().ok_or(EncodeError::Json);
    let mut copied = 0;
    let mut at = 1;
    loop {
        match byte_at(at)? {
            b'"' => {
                out.push(text.get(copied..=at).unwrap_or_default())?;
                return Ok(at + 1);
            }
            0..0x20 => return Err(EncodeError::Json),
            b'\\' if byte_at(at + 1)? == b'u' => {
                let unit = hex_unit(text, at)?;
                let is_pair = matches!(unit, 0xd800..0xdc00)
                    && text.get(at + 6..at + 8) == Some(b"\\u")
                    && matches!(hex_unit(text, at + 6)?, 0xdc00..0xe000);
                if is_pair {
                    at += 12;
                } else {
                    if matches!(unit, 0xd800..0xe000) {
                        out.push(text.get(copied..at).unwrap_or_default())?;
                        out.push(b"\\ufffd")?;
                        copied = at + 6;
                    }
                    at += 6;
                }
            }
            b'\\' => match byte_at(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                _ => return Err(EncodeError::Json),
            },
            _ => at += plain(text.get(at..).unwrap_or_default()),
        }
    }
}

/// The four hex digits of the `\uXXXX` at `at`.
fn hex_unit(text: &[u8], at: usize) -> Result<u16, EncodeError> {
    let digits = text.get(at + 2..at + 6).ok_or(EncodeError::Json)?;
    let unit = number(digits, 16).ok_or(EncodeError::Json)?;
    u16::try_from(unit).map_err(|_| EncodeError::Json)
}
