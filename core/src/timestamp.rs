//! UTC wall time as RFC 3339 text, in the original's form.

use core::fmt;

const SECONDS_PER_DAY: u64 = 86_400;
/// 0000-01-01T00:00:00Z, the first second RFC 3339 can write.
const MIN_SECONDS: i64 = -62_167_219_200;
/// Days from 0000-01-01 to 1970-01-01.
const DAYS_BEFORE_EPOCH: i64 = 719_528;
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

    /// The start of a civil date of the proleptic Gregorian calendar, in days since the epoch.
    /// Howard Hinnant's `days_from_civil` (<https://howardhinnant.github.io/date_algorithms.html>).
    pub(crate) const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
            - 719_468
    }

    /// Whether the month has that day. Another comes out as one of another month.
    pub(crate) fn has_day(year: i64, month: i64, day: i64) -> bool {
        let days = Self::days_from_civil(year, month, day) + DAYS_BEFORE_EPOCH;
        u32::try_from(days).is_ok_and(|days| {
            let (its_year, its_month, its_day) = Self::civil_from_days(days);
            (year, month, day) == (its_year.into(), its_month.into(), its_day.into())
        })
    }

    /// The civil date (year, month, day) of a day since 0000-01-01: `civil_from_days` of the same
    /// source, where no number is negative, from 400 years before.
    const fn civil_from_days(days: u32) -> (u32, u32, u32) {
        // Its years begin in March.
        let days = days + 146_097 - 60;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = (era * 400 + year_of_era + if month <= 2 { 1 } else { 0 }) - 400;
        (year, month, day)
    }
}

/// Writes `value` as decimal digits, zero-padded to fill `out`.
#[allow(clippy::cast_possible_truncation, reason = "a remainder of ten fits a byte")]
fn digits(out: &mut [u8], value: u32) {
    let mut rest = value;
    for place in out.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

impl Timestamp {
    /// Writes the RFC 3339 text into `out` and returns its length, 20 to 30 bytes.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "years are 0 to 9999 by construction, the rest is smaller"
    )]
    pub(crate) fn write(self, out: &mut [u8; 30]) -> usize {
        let seconds = (self.seconds - MIN_SECONDS) as u64;
        let (year, month, day) = Self::civil_from_days((seconds / SECONDS_PER_DAY) as u32);
        let time = (seconds % SECONDS_PER_DAY) as u32;
        *out = *b"0000-00-00T00:00:00.000000000Z";
        digits(&mut out[0..4], year);
        digits(&mut out[5..7], month);
        digits(&mut out[8..10], day);
        digits(&mut out[11..13], time / 3_600);
        digits(&mut out[14..16], time / 60 % 60);
        digits(&mut out[17..19], time % 60);
        let mut end = 19;
        if self.nanos != 0 {
            digits(&mut out[20..29], self.nanos);
            end = 29;
            while end > 20 && out[end - 1] == b'0' {
                end -= 1;
            }
        }
        out[end] = b'Z';
        end + 1
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 30];
        let length = self.write(&mut text);
        f.write_str(core::str::from_utf8(&text[..length]).unwrap_or_default())
    }
}
