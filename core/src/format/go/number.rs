//! Numbers as Go's `encoding/json` writes them: the shortest digits that are read back as the same `float64`, with
//! an exponent below 1e-6 and from 1e21 on, as JavaScript has it.

use core::fmt;

use heapless::Vec;

use crate::ascii::number;
use crate::json::{EncodeError, Writer};

/// The shortest digits of any `f64` are as many at most.
const DIGITS: usize = 17;
/// Every decimal of as many digits has an `f64` of its own (`f64::DIGITS`), between these exponents.
const EXACT: usize = f64::DIGITS as usize;
const NORMAL: core::ops::Range<i32> = -290..290;

/// Writes a float whose digits may not be the shortest.
pub(super) type Floats = fn(&str, &mut Writer<'_>) -> Result<(), EncodeError>;

/// Writes a number of JSON again.
pub(super) fn write(text: &str, out: &mut Writer<'_>, floats: Floats) -> Result<(), EncodeError> {
    let is_whole = !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    let magnitude = text.strip_prefix('-').unwrap_or(text).parse::<u64>();
    let most = if text.starts_with('-') { 1 << 63 } else { u64::MAX };
    if is_whole && magnitude.is_ok_and(|magnitude| magnitude <= most) {
        return out.push(text.as_bytes());
    }
    match Decimal::parse(text).filter(Decimal::is_shortest) {
        Some(decimal) => decimal.write(out),
        None => floats(text, out),
    }
}

/// With the digits that it has.
pub(super) fn as_written(text: &str, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    match Decimal::parse(text) {
        Some(decimal) => decimal.write(out),
        None => out.push(text.as_bytes()),
    }
}

/// With the shortest digits.
pub(super) fn exact(text: &str, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    // Go's decoder refuses what is larger than any `f64`: it has no text of its own.
    match text.parse::<f64>().ok().filter(|float| float.is_finite()) {
        Some(float) => shortest(float).ok_or(EncodeError::TooLong)?.write(out),
        None => out.push(text.as_bytes()),
    }
}

/// The shortest decimal that is read as `float`, and of two that are as short the nearer one. Where both are as near,
/// Go takes the even one, and so does `{:.e}`, but `{:e}` does not.
fn shortest(float: f64) -> Option<Decimal> {
    let mut room = [0; 32];
    let shortest = Decimal::parse(printed(format_args!("{float:e}"), &mut room)?)?;
    let fraction = shortest.digits.len().saturating_sub(1);
    let nearest = printed(format_args!("{float:.fraction$e}"), &mut room)?;
    match nearest.parse::<f64>() {
        Ok(same) if float == same => Decimal::parse(nearest),
        _ => Some(shortest),
    }
}

fn printed<'r>(text: fmt::Arguments<'_>, room: &'r mut [u8; 32]) -> Option<&'r str> {
    let mut writer = Writer::new(room);
    fmt::write(&mut writer, text).ok()?;
    core::str::from_utf8(writer.finish()).ok()
}

/// `d.ddd * 10^exponent`, without zeros at either end. Zero has no digits.
struct Decimal {
    is_negative: bool,
    digits: Vec<u8, DIGITS>,
    exponent: i32,
}

impl Decimal {
    /// `None` when there are too many digits.
    fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-');
        let end = text.bytes().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(text.len());
        let (mantissa, exponent) = text.split_at_checked(end)?;
        let mut exponent = match exponent.as_bytes() {
            [] => 0,
            [_, b'-', digits @ ..] => -i32::try_from(number(digits, 10)?).ok()?,
            [_, b'+', digits @ ..] | [_, digits @ ..] => i32::try_from(number(digits, 10)?).ok()?,
        };
        let mut digits = Vec::new();
        let (mut zeros, mut is_fraction) = (0_usize, false);
        for &byte in mantissa.as_bytes() {
            match byte {
                b'.' => is_fraction = true,
                b'0' if digits.is_empty() => exponent = exponent.saturating_sub(is_fraction.into()),
                b'0'..=b'9' => {
                    exponent = exponent.saturating_add((!is_fraction).into());
                    if byte == b'0' {
                        zeros += 1;
                    } else {
                        digits.resize(digits.len() + zeros, b'0').ok()?;
                        digits.push(byte).ok()?;
                        zeros = 0;
                    }
                }
                _ => {}
            }
        }
        Some(Self { is_negative: unsigned.is_some(), digits, exponent: exponent.saturating_sub(1) })
    }

    /// Whether no shorter decimal is read as the same `f64`.
    fn is_shortest(&self) -> bool {
        self.digits.len() <= EXACT && (self.digits.is_empty() || NORMAL.contains(&self.exponent))
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let Self { ref digits, exponent, .. } = *self;
        out.push(if self.is_negative { b"-" } else { b"" })?;
        let Some((first, rest)) = digits.split_first() else { return out.push(b"0") };
        let size = exponent.unsigned_abs() as usize;
        match exponent {
            -6..0 => {
                out.push(b"0.")?;
                zeros(size - 1, out)?;
                out.push(digits)
            }
            0..21 => {
                let (whole, fraction) = digits.split_at_checked(size + 1).unwrap_or((digits, &[]));
                out.push(whole)?;
                zeros(size + 1 - whole.len(), out)?;
                out.push(if fraction.is_empty() { b"" } else { b"." })?;
                out.push(fraction)
            }
            _ => {
                out.push(&[*first])?;
                out.push(if rest.is_empty() { b"" } else { b"." })?;
                out.push(rest)?;
                out.push(if exponent < 0 { b"e-" } else { b"e+" })?;
                out.integer(size as u64)
            }
        }
    }
}

fn zeros(count: usize, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    (0..count).try_for_each(|_| out.push(b"0"))
}
