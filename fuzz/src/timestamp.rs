//! Timestamps as text. The oracle: the civil calendar of `jiff`, from the year 0 to 9999.
//!
//! Takes eight bytes of seconds and four of nanoseconds, big-endian. Known differences: none. What is
//! outside of what RFC 3339 can write becomes its first or its last moment.

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};
use pilot_webhook_core::Timestamp;

/// Takes a time.
pub fn run(data: &[u8]) {
    let Some((seconds, rest)) = data.split_first_chunk() else { return };
    let Some((nanos, _)) = rest.split_first_chunk() else { return };
    let (seconds, nanos) = (i64::from_be_bytes(*seconds), u32::from_be_bytes(*nanos));
    let time = Timestamp::new(seconds, nanos);
    assert_eq!(time.to_string(), expected(seconds, nanos), "{seconds} s, {nanos} ns");
    // What is kept says the same again.
    assert_eq!(Timestamp::new(time.seconds(), time.nanos()), time);
    if let Ok(read) = time.to_string().parse::<jiff::Timestamp>() {
        let nanos = i128::from(time.seconds()) * 1_000_000_000 + i128::from(time.nanos());
        assert_eq!(read.as_nanosecond(), nanos);
    }
}

fn expected(seconds: i64, nanos: u32) -> String {
    let nanos = nanos.min(999_999_999);
    let since = SignedDuration::new(seconds, nanos as i32);
    let epoch = date(1970, 1, 1).at(0, 0, 0, 0);
    let first = date(0, 1, 1).at(0, 0, 0, 0);
    let civil = if seconds < 0 { DateTime::MIN } else { DateTime::MAX };
    let civil = epoch.checked_add(since).unwrap_or(civil).max(first);
    let text = civil.strftime("%Y-%m-%dT%H:%M:%S.%9f").to_string();
    format!("{}Z", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
pub(crate) use inputs::{WORDS, grammar};

#[cfg(test)]
mod inputs {
    use proptest::prelude::*;

    pub(crate) const WORDS: &[&str] = &["\0", "\0\0\0", "\u{1}"];

    pub(crate) fn grammar() -> BoxedStrategy<Vec<u8>> {
        let seconds = prop_oneof![
            4 => -62_167_305_600_i64..253_402_387_200,
            1 => (0_i64..10_000, -3_i64..3).prop_map(|(year, off)| year * 31_556_952 + off - 62_167_219_200),
            // Around the end and the beginning of days.
            2 => (-719_530_i64..2_932_900, -2_i64..3).prop_map(|(day, off)| day * 86_400 + off),
            1 => any::<i64>(),
        ];
        let nanos = prop_oneof![
            2 => 0_u32..1_000_000_000,
            2 => (0_u32..10, 0_u32..10).prop_map(|(digit, zeros)| digit * 10_u32.pow(zeros.min(8))),
            1 => any::<u32>(),
        ];
        (seconds, nanos)
            .prop_map(|(seconds, nanos)| {
                [&seconds.to_be_bytes()[..], &nanos.to_be_bytes()[..]].concat()
            })
            .boxed()
    }
}
