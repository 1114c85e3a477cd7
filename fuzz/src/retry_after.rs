//! The `Retry-After` header. The oracles: `httpdate` for what a date means, and `jiff` for whether it
//! is on the calendar.
//!
//! What `httpdate` reads, core must read as the same second, if it is the same text when it is written
//! again: `httpdate` does not look at every separator. What only core reads must still name its own
//! day, month, year and time of day: no date is made up.
//!
//! Known differences, where core is more patient (RFC 9110, section 5.6.7, encourages that):
//! - the day of the week is not looked at;
//! - spaces, hyphens and commas are one kind of separator, and numbers may lack their leading zero;
//! - years before 1970 are read, and a leap second is the second after.

use std::time::{Duration, UNIX_EPOCH};

use pilot_webhook_core::{RetryAfter, Timestamp};

const SEPARATORS: [char; 3] = [' ', '-', ','];

/// Takes a header value.
pub fn run(data: &[u8]) {
    let ours = RetryAfter::parse(data);
    let value = data.trim_ascii();
    if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
        let seconds = str::from_utf8(value).unwrap().parse().unwrap_or(u32::MAX);
        assert_eq!(ours, Some(RetryAfter::Delay(Duration::from_secs(seconds.into()))));
        return;
    }
    if let Some(seconds) = str::from_utf8(value).ok().and_then(judge) {
        let text = value.escape_ascii();
        assert_eq!(ours, Some(RetryAfter::At(Timestamp::new(seconds, 0))), "{text}");
    }
    match ours {
        None => {}
        Some(RetryAfter::At(time)) => {
            names_its_date(str::from_utf8(value).expect("dates are text"), time);
            never_early(ours.unwrap(), time);
        }
        Some(RetryAfter::Delay(_)) => panic!("only digits are a delay: {value:?}"),
    }
}

/// The second that a date in one of the three forms means.
fn judge(text: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(text).ok()?;
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs().try_into().ok()?;
    let civil = jiff::civil::date(1970, 1, 1)
        .at(0, 0, 0, 0)
        .checked_add(jiff::SignedDuration::from_secs(seconds))
        .ok()?;
    let forms = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    forms.iter().any(|form| civil.strftime(form).to_string() == text).then_some(seconds)
}

/// The text holds what the date consists of.
fn names_its_date(text: &str, time: Timestamp) {
    // All but the day of the week.
    let text =
        text.trim_start_matches(SEPARATORS).split_once(SEPARATORS).map_or("", |(_, rest)| rest);
    let words: Vec<&str> = text.split([' ', '-', ',', ':']).filter(|w| !w.is_empty()).collect();
    let mut times = text.split(SEPARATORS).filter_map(|word| word.rsplit_once(':'));
    let is_leap_second = times.any(|(_, second)| second.parse() == Ok(60));
    let seconds = time.seconds() - i64::from(is_leap_second);
    let civil = jiff::civil::date(1970, 1, 1)
        .at(0, 0, 0, 0)
        .checked_add(jiff::SignedDuration::from_secs(seconds))
        .expect("years have four digits");
    let number = |wanted: i16| {
        let holds = |word: &&str| word.parse::<i16>().is_ok_and(|found| found == wanted);
        assert!(words.iter().any(holds), "no {wanted} in {text:?}, read as {time}");
    };
    number(civil.day().into());
    number(civil.hour().into());
    number(civil.minute().into());
    if !is_leap_second {
        number(civil.second().into());
    }
    let month = civil.strftime("%b").to_string();
    assert!(words.contains(&month.as_str()), "no {month} in {text:?}, read as {time}");
    let year = civil.year();
    let holds = |word: &&str| match word.len() {
        2 => word.parse() == Ok(year % 100) && (1970..2070).contains(&year),
        _ => word.parse() == Ok(year),
    };
    assert!(words.iter().any(holds), "no {year} in {text:?}, read as {time}");
}

/// Whoever waits comes at most a second late.
fn never_early(date: RetryAfter, at: Timestamp) {
    for (before, nanos) in [(0, 0), (1, 0), (5, 1), (3_600, 999_999_999), (-1, 0), (i64::MAX, 0)] {
        let wall = Timestamp::new(at.seconds().saturating_sub(before), nanos);
        let nanos =
            |time: Timestamp| i128::from(time.seconds()) * 1_000_000_000 + i128::from(time.nanos());
        let wait = date.delay(wall).as_nanos() as i128;
        let exact = (nanos(at) - nanos(wall)).max(0);
        assert!((exact..exact + 1_000_000_000).contains(&wait), "{at} seen from {wall}: {wait} ns");
    }
}

#[cfg(test)]
pub(crate) use inputs::{WORDS, grammar};

#[cfg(test)]
mod inputs {
    use proptest::prelude::*;
    use proptest::sample::select;

    pub(crate) const WORDS: &[&str] = &[
        " ", "-", ",", ":", "GMT", "UTC", "Sun", "Sunday", "Feb", "29", "30", "31", "00", "24",
        "60", "9999", "0", "+1", "1970", "69", "\t", "\u{663}",
    ];

    pub(crate) fn grammar() -> BoxedStrategy<Vec<u8>> {
        prop_oneof![
            2 => date(),
            2 => loose_date(),
            1 => " {0,2}[0-9]{1,12} {0,2}",
        ]
        .prop_map(String::into_bytes)
        .boxed()
    }

    /// A right date in one of the three forms.
    fn date() -> impl Strategy<Value = String> {
        let form = select(vec![
            "%a, %d %b %Y %H:%M:%S GMT",
            "%A, %d-%b-%y %H:%M:%S GMT",
            "%a %b %e %H:%M:%S %Y",
        ]);
        (form, prop_oneof![1 => 0_i64..253_402_207_200, 2 => 0_i64..4_102_444_800]).prop_map(
            |(form, second)| {
                jiff::Timestamp::from_second(second).unwrap().strftime(form).to_string()
            },
        )
    }

    /// Of the right form, with days that may not be.
    fn loose_date() -> impl Strategy<Value = String> {
        let day = select(vec!["Sun", "Mon", "Wednesday", "Saturday", "day", ""]);
        let month = select(vec![
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]);
        let year = prop_oneof![0_u32..10_000, 1_890..2_110_u32];
        let numbers = (0_u32..34, 0_u32..26, 0_u32..62, 0_u32..63);
        (day, month, year, numbers, 0..4).prop_map(|(day, month, year, (date, h, m, s), form)| {
            match form {
                0 => format!("{day}, {date:02} {month} {year:04} {h:02}:{m:02}:{s:02} GMT"),
                1 => {
                    let year = year % 100;
                    format!("{day}, {date:02}-{month}-{year:02} {h:02}:{m:02}:{s:02} GMT")
                }
                2 => format!("{day} {month} {date:2} {h:02}:{m:02}:{s:02} {year:04}"),
                _ => format!("{day} {date} {month} {year} {h}:{m}:{s} GMT"),
            }
        })
    }
}
