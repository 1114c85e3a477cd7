//! Times as RFC 3339 writes them: no more, no less.

use jiff::civil::{Date, date};
use pilot_webhook_core::Timestamp;

/// The time that a text stands for; `None` when it is not one of RFC 3339, or not of its years in UTC (0 to 9999).
///
/// Digits of a second beyond the ninth are cut off, and a leap second is the second before it, as there is no room
/// for either.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.as_bytes().split_at_checked(10)?;
    let ([b'T' | b't' | b' '], rest) = rest.split_at_checked(1)? else { return None };
    let (time, rest) = rest.split_at_checked(8)?;
    let (fraction, offset) = match rest {
        [b'.', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            rest.split_at_checked(digits)?
        }
        rest => (&[][..], rest),
    };
    let seconds = midnight(date)? + clock(time)? - self::offset(offset)?;
    let timestamp = Timestamp::new(seconds, nanos(fraction));
    (timestamp.seconds() == seconds).then_some(timestamp)
}

/// `2026-01-15`, in seconds since 1970.
fn midnight(text: &[u8]) -> Option<i64> {
    let [a, b, c, d, b'-', m, n, b'-', e, f] = *text else { return None };
    let year = two(a, b)? * 100 + two(c, d)?;
    let day = Date::new(year, two(m, n)?.try_into().ok()?, two(e, f)?.try_into().ok()?).ok()?;
    Some(day.duration_since(date(1970, 1, 1)).as_secs())
}

/// `12:34:56`, in seconds. The 60th second is the 59th.
fn clock(text: &[u8]) -> Option<i64> {
    let [h, i, b':', m, n, b':', s, t] = *text else { return None };
    let second = two(s, t).filter(|second| *second <= 60)?.min(59);
    Some(hours_and_minutes([h, i, m, n])? + i64::from(second))
}

/// `Z` or `+01:30`, in seconds.
fn offset(text: &[u8]) -> Option<i64> {
    match *text {
        [b'Z' | b'z'] => Some(0),
        [b'+', h, i, b':', m, n] => hours_and_minutes([h, i, m, n]),
        [b'-', h, i, b':', m, n] => Some(-hours_and_minutes([h, i, m, n])?),
        _ => None,
    }
}

fn hours_and_minutes([h, i, m, n]: [u8; 4]) -> Option<i64> {
    let hour = two(h, i).filter(|hour| *hour < 24)?;
    let minute = two(m, n).filter(|minute| *minute < 60)?;
    Some(i64::from(hour) * 3_600 + i64::from(minute) * 60)
}

fn nanos(fraction: &[u8]) -> u32 {
    let digits = fraction.iter().map(|digit| u32::from(digit - b'0'));
    digits.chain(std::iter::repeat(0)).take(9).fold(0, |nanos, digit| nanos * 10 + digit)
}

/// Two digits.
fn two(tens: u8, ones: u8) -> Option<i16> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i16::from(byte - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_rfc_3339_allows_is_read() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1969-12-31T23:59:59.5Z", -1, 500_000_000),
            ("2026-01-15t12:34:56.789z", 1_768_480_496, 789_000_000),
            ("2026-01-15 12:34:56Z", 1_768_480_496, 0),
            ("2026-01-15T14:04:56+01:30", 1_768_480_496, 0),
            ("2026-01-15T11:34:56-01:00", 1_768_480_496, 0),
            ("2026-01-15T12:34:56-00:00", 1_768_480_496, 0),
            // jiff reads nine digits, and its last second is a day earlier.
            ("2026-01-15T12:34:56.1234567891Z", 1_768_480_496, 123_456_789),
            ("2026-01-15T12:34:56.00000000000000000001Z", 1_768_480_496, 0),
            ("9999-12-31T23:59:59Z", 253_402_300_799, 0),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999),
            ("0000-01-01T00:00:00Z", -62_167_219_200, 0),
            ("2024-02-29T23:59:59Z", 1_709_251_199, 0),
            ("1990-12-31T23:59:60Z", 662_687_999, 0),
        ] {
            assert_eq!(parse(text), Some(Timestamp::new(seconds, nanos)), "{text}");
        }
    }

    /// jiff takes more than RFC 3339 has.
    #[test]
    fn what_rfc_3339_does_not_allow_is_not_read() {
        for text in [
            "",
            "2026-01-15T12Z",
            "2026-01-15T12:34Z",
            "2026-01-15T12:34:56",
            "2026-01-15T12:34:56.Z",
            "2026-01-15T12:34:56,5Z",
            "2026-01-15T12:34:56+25:59",
            "2026-01-15T12:34:56+01:60",
            "2026-01-15T12:34:56+01",
            "2026-01-15T12:34:56+0100",
            "2026-01-15T12:34:56Z[UTC]",
            "2026-01-15T12:34:56Z ",
            "2026-01-15T24:00:00Z",
            "2026-01-15T12:60:00Z",
            "2026-01-15T12:34:61Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "20260115T123456Z",
            "+02026-01-15T12:34:56Z",
            "-00001-12-31T23:59:59Z",
            "10000-01-01T00:00:00Z",
            "2026-W03-4T12:34:56Z",
            "2026-01-15T12:34:5\u{e9}Z",
            "2026-01-1\u{e9}T12:34:56Z",
            // Not of its years in UTC.
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_core_writes_is_read_as_the_same(seconds: i64, nanos in 0_u32..1_000_000_000) {
            let seconds = seconds % 400_000_000_000;
            let time = Timestamp::new(seconds, nanos);
            prop_assert_eq!(parse(&time.to_string()), Some(time));
        }

        #[test]
        fn no_text_panics(text in "[-0-9TZ:.+ é]{0,40}") {
            let _ = parse(&text);
        }
    }
}
