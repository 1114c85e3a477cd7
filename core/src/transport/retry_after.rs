//! The `Retry-After` header (RFC 9110, section 10.2.3): seconds, or an HTTP date.

use core::time::Duration;

use heapless::Vec;

use crate::event::Timestamp;

/// When the receiver asks to be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// So long after the answer.
    Delay(Duration),
    /// At this wall-clock time.
    At(Timestamp),
}

impl RetryAfter {
    /// Parses a header value. All three date forms of RFC 9110 are read; anything else is no
    /// `Retry-After` at all.
    ///
    /// ```
    /// use core::time::Duration;
    /// use pilot_webhook_core::{RetryAfter, Timestamp};
    /// assert_eq!(RetryAfter::parse(b"120"), Some(RetryAfter::Delay(Duration::from_secs(120))));
    /// assert_eq!(
    ///     RetryAfter::parse(b"Fri, 31 Dec 1999 23:59:59 GMT"),
    ///     Some(RetryAfter::At(Timestamp::new(946_684_799, 0))),
    /// );
    /// assert_eq!(RetryAfter::parse(b"soon"), None);
    /// ```
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
            // More digits than fit mean "very long", not "nothing".
            let seconds = value
                .iter()
                .fold(0_u32, |n, b| n.saturating_mul(10).saturating_add(u32::from(b - b'0')));
            return Some(Self::Delay(Duration::from_secs(seconds.into())));
        }
        parse_date(value).map(Self::At)
    }

    /// How long to wait from now on, given the wall-clock time. A date in the past is zero.
    #[must_use]
    pub fn delay(self, wall: Timestamp) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::At(at) => {
                // Rounded up, so as never to come back early.
                let seconds = at.seconds().saturating_sub(wall.seconds());
                Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
            }
        }
    }
}

/// An HTTP date (RFC 9110, section 5.6.7).
pub(crate) fn parse_date(value: &[u8]) -> Option<Timestamp> {
    if !value.is_ascii() {
        return None;
    }
    let words = value.split(|byte| matches!(byte, b' ' | b'-' | b','));
    let words = few::<6>(words.filter(|word| !word.is_empty()))?;
    let (day, month, year, time) = match *words.as_slice() {
        // IMF-fixdate `Sun, 06 Nov 1994 08:49:37 GMT`, RFC 850 `Sunday, 06-Nov-94 08:49:37 GMT`.
        [_, day, month, year, time, b"GMT"] => (day, month, year, time),
        // asctime `Sun Nov  6 08:49:37 1994`.
        [_, month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    let date = (full_year(year)?, month_number(month)?, number(day)?);
    let fields = few::<3>(time.split(|byte| *byte == b':'))?;
    let [hour, minute, second] = *fields.as_slice() else { return None };
    let (hour, minute, second) = (number(hour)?, number(minute)?, number(second)?);
    // A leap second is written as 60.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Timestamp::of_civil(date, hour * 3_600 + minute * 60 + second)
}

/// At most `N` parts.
fn few<'v, const N: usize>(parts: impl Iterator<Item = &'v [u8]>) -> Option<Vec<&'v [u8], N>> {
    let mut few = Vec::new();
    for part in parts {
        few.push(part).ok()?;
    }
    Some(few)
}

fn number(digits: &[u8]) -> Option<u32> {
    if digits.len() > 4 {
        return None;
    }
    crate::ascii::number(digits, 10)
}

/// A year of two digits is of this century, but for the 70s to 90s (RFC 850 dates are that old).
fn full_year(digits: &[u8]) -> Option<u32> {
    let year = number(digits)?;
    Some(match digits.len() {
        2 if year >= 70 => 1900 + year,
        2 => 2000 + year,
        _ => year,
    })
}

fn month_number(name: &[u8]) -> Option<u32> {
    const NAMES: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = NAMES.chunks(3).position(|month| month == name)?;
    u32::try_from(month + 1).ok()
}
