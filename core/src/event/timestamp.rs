//! UTC wall time as RFC 3339 text, in the form that pilot's Go plugin writes.

use core::fmt;

use crate::ascii::{EIGHT, eight};
use crate::json::{EncodeError, Writer};

const SECONDS_PER_DAY: u64 = 86_400;
/// 0000-01-01T00:00:00Z, the first second RFC 3339 can write.
const MIN_SECONDS: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z, the last one.
const MAX_SECONDS: i64 = 253_402_300_799;

/// A point in UTC wall time, in nanoseconds, between the years 0000 and 9999.
///
/// It is written with up to nine sub-second digits, trailing zeros and a lone point trimmed.
///
/// ```
/// use pilot_webhook_core::Timestamp;
/// let t = Timestamp::new(1_768_480_496, 789_000_000);
/// assert_eq!(t.to_string(), "2026-01-15T12:34:56.789Z");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

impl Timestamp {
    /// The longest text, in bytes.
    pub const LENGTH: usize = 30;
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self { seconds: 0, nanos: 0 };

    /// The time `seconds` and `nanos` after the Unix epoch. Nanoseconds over 999,999,999 and
    /// seconds outside the years 0000 to 9999 are cut to the nearest time that can be written.
    #[must_use]
    pub const fn new(seconds: i64, nanos: u32) -> Self {
        if seconds < MIN_SECONDS {
            return Self { seconds: MIN_SECONDS, nanos: 0 };
        }
        let nanos = if nanos > 999_999_999 || seconds > MAX_SECONDS { 999_999_999 } else { nanos };
        let seconds = if seconds > MAX_SECONDS { MAX_SECONDS } else { seconds };
        Self { seconds, nanos }
    }

    /// Whole seconds since the Unix epoch, rounded towards the past.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds within the second, 0 to 999,999,999.
    #[must_use]
    pub const fn nanos(self) -> u32 {
        self.nanos
    }

    /// A second of a civil date (of the proleptic Gregorian calendar, up to the year 9999); `None` when
    /// the month does not have that day.
    pub(crate) fn of_civil(date: (u32, u32, u32), second: u32) -> Option<Self> {
        let days = Self::days_from_civil(date)?;
        let second = MIN_SECONDS + i64::from(days) * SECONDS_PER_DAY as i64 + i64::from(second);
        // Another day comes out as one of another month.
        (Self::civil_from_days(days) == date).then_some(Self::new(second, 0))
    }

    /// The days since 0000-01-01, by Howard Hinnant's `days_from_civil`
    /// (<https://howardhinnant.github.io/date_algorithms.html>), from 400 years before.
    fn days_from_civil((year, month, day): (u32, u32, u32)) -> Option<u32> {
        // Its years begin in March.
        let year = year + 400 - u32::from(month <= 2);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day;
        (year * 365 + year / 4 - year / 100 + year / 400 + day_of_year).checked_sub(146_098 - 60)
    }

    /// The civil date (year, month, day) of a day since 0000-01-01, up to the year 9999. Cassio Neri
    /// and Lorenz Schneider, "Euclidean affine functions and their application to calendar
    /// algorithms" (<https://doi.org/10.1002/spe.3172>), from 400 years before.
    #[allow(clippy::cast_possible_truncation, reason = "the halves of a product")]
    const fn civil_from_days(days: u32) -> (u32, u32, u32) {
        // Its years begin in March.
        let quarters = 4 * (days + 146_097 - 60) + 3;
        let century = quarters / 146_097;
        // In two halves: the year of the century, and the part of the year that is over.
        let product = 2_939_745 * ((quarters % 146_097) | 3) as u64;
        let year = 100 * century + (product >> 32) as u32;
        let day_of_year = product as u32 / 2_939_745 / 4;
        let shifted = 2_141 * day_of_year + 197_913;
        let (month, day) = (shifted >> 16, (shifted & 0xffff) / 2_141 + 1);
        let (year, month) = if month > 12 { (year + 1, month - 12) } else { (year, month) };
        (year - 400, month, day)
    }
}

impl Timestamp {
    /// Writes the RFC 3339 text into `out` and returns its length.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "years are 0 to 9999 by construction, the rest is smaller"
    )]
    fn write(self, out: &mut [u8; Self::LENGTH]) -> usize {
        let seconds = (self.seconds - MIN_SECONDS) as u64;
        let (year, month, day) = Self::civil_from_days((seconds / SECONDS_PER_DAY) as u32);
        let time = (seconds % SECONDS_PER_DAY) as u32;
        let date = eight(year * 10_000 + month * 100 + day);
        let clock = eight(time / 3_600 * 10_000 + time / 60 % 60 * 100 + time % 60);
        *out = *b"0000-00-00T00:00:00.000000000Z";
        out[0..4].copy_from_slice(&date[0..4]);
        out[5..7].copy_from_slice(&date[4..6]);
        out[8..10].copy_from_slice(&date[6..8]);
        out[11..13].copy_from_slice(&clock[2..4]);
        out[14..16].copy_from_slice(&clock[4..6]);
        out[17..19].copy_from_slice(&clock[6..8]);
        if self.nanos != 0 {
            out[20] += (self.nanos / EIGHT) as u8;
            out[21..29].copy_from_slice(&eight(self.nanos % EIGHT));
        }
        let zeros = out[20..29].iter().rev().take_while(|&&digit| digit == b'0').count();
        // Without a digit behind it the point goes, too.
        let end = if zeros == 9 { 19 } else { 29 - zeros };
        if let Some(end) = out.get_mut(end) {
            *end = b'Z';
        }
        end + 1
    }

    /// Writes the RFC 3339 text, without quotes.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] when it does not fit.
    pub fn write_to(self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut text = [0; Self::LENGTH];
        let length = self.write(&mut text);
        out.push(text.get(..length).unwrap_or_default())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Self::LENGTH];
        let length = self.write(&mut text);
        f.write_str(
            core::str::from_utf8(text.get(..length).unwrap_or_default()).unwrap_or_default(),
        )
    }
}
