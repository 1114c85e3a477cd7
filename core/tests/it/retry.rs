//! The backoff schedule, `Retry-After`, and the classification of answers.

use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    After, Backoff, Config, Dispatcher, EndpointBuf, ErrorKind, Event, Instant, Next, PilotFormat,
    Policy, RetryAfter, Timestamp, Verdict,
};
use proptest::prelude::*;

#[test]
fn the_status_table_holds() {
    let table = include_str!("../data/statuses.txt");
    let mut seen = 0;
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut columns = line.split_whitespace();
        let (range, outcome, header) =
            (columns.next().unwrap(), columns.next().unwrap(), columns.next().unwrap());
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        for status in first.parse::<u16>().unwrap()..=last.parse().unwrap() {
            let asked = Some(RetryAfter::Delay(Duration::from_secs(7)));
            let expected = match outcome {
                "delivered" => Verdict::Accepted,
                "rejected" if status == 413 => Verdict::TooLarge,
                "rejected" if status == 400 || status == 422 => Verdict::Invalid,
                "rejected" => Verdict::Refused,
                "gone" => Verdict::Gone,
                "retryable" => Verdict::Later(if header == "honoured" { asked } else { None }),
                other => panic!("{other}"),
            };
            let response = Response { status, retry_after: asked };
            assert_eq!(response.verdict(), expected, "{status}");
            seen += 1;
        }
    }
    assert_eq!(seen, 900, "every status from 100 to 999, once");
}

#[test]
fn every_transport_error_is_retryable() {
    use ErrorKind::{Connect, Disconnected, Local, Protocol, Refused, Resolve, Timeout, Tls};
    for kind in [Resolve, Refused, Connect, Tls, Timeout, Disconnected, Protocol, Local] {
        let core = Dispatcher::<NoopRawMutex, [u8; 256]>::new(Config::DEFAULT, [0; 256], 1);
        core.swap(EndpointBuf::parse("http://h/", Policy::default()).unwrap()).unwrap();
        let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
        core.emit(&event, &(), &mut [0; 128]).unwrap();
        let start = Instant::from_micros(0);
        let Next::Attempt(mut delivery) = core.next(start, PilotFormat::BOUND, &mut [0; 512]).0
        else {
            panic!()
        };
        let after = core.finish(&mut delivery, Err(kind), start, Timestamp::UNIX_EPOCH);
        assert_eq!(after, After::Retry(start + Duration::from_secs(1)), "{kind}");
    }
}

/// The day of the week is not looked at, but a date is text.
#[test]
fn a_retry_after_that_is_not_ascii_is_none() {
    for value in [
        b"\x80hursday, 01-Jan-70 00:00:00 GMT".as_slice(),
        "Ð, 01 Jan 1970 00:00:00 GMT".as_bytes(),
    ] {
        assert_eq!(RetryAfter::parse(value), None, "{}", value.escape_ascii());
    }
}

#[test]
fn retry_after_reads_all_forms_of_rfc_9110_and_nothing_else() {
    let at = |seconds| Some(RetryAfter::At(Timestamp::new(seconds, 0)));
    let date = at(784_111_777);
    let delay = |seconds| Some(RetryAfter::Delay(Duration::from_secs(seconds)));
    for (value, expected) in [
        ("0", delay(0)),
        (" 120 ", delay(120)),
        ("99999999999999999999", delay(u32::MAX.into())),
        ("Sun, 06 Nov 1994 08:49:37 GMT", date),
        ("Sunday, 06-Nov-94 08:49:37 GMT", date),
        ("Sun Nov  6 08:49:37 1994", date),
        ("Fri, 31 Dec 1999 23:59:60 GMT", at(946_684_800)),
        ("Sat, 01 Jan 2000 00:00:00 GMT", at(946_684_800)),
        ("Tuesday, 29-Feb-00 00:00:00 GMT", at(951_782_400)),
        ("Tuesday, 31-Dec-69 00:00:00 GMT", at(3_155_673_600)),
        ("Thursday, 01-Jan-70 00:00:01 GMT", at(1)),
        ("Sun, 00 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:60:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:61 GMT", None),
        ("Sun, 06 Nov 19940 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37:00 GMT", None),
        ("Sun Nov  6 08:49:37 1994 GMT", None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("1s", None),
        ("Sun, 06 Nov 1994 08:49:37", None),
        ("Sun, 06 Nov 1994 08:49:37 PST", None),
        ("Sun, 06 Nov 1994 24:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49 GMT", None),
        ("Sun, 32 Nov 1994 08:49:37 GMT", None),
        ("Sun, 00 Nov 1994 08:49:37 GMT", None),
        ("Sun, 31 Nov 1994 08:49:37 GMT", None),
        ("Mon, 30 Feb 2026 00:00:00 GMT", None),
        ("Sun, 29 Feb 2026 00:00:00 GMT", None),
        ("Thu, 29 Feb 2024 00:00:00 GMT", at(1_709_164_800)),
        ("Sat, 31 Dec 2016 23:59:60 GMT", at(1_483_228_800)),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT x", None),
        ("Sun, +6 Nov 1994 08:49:37 GMT", None),
    ] {
        assert_eq!(RetryAfter::parse(value.as_bytes()), expected, "{value:?}");
    }
}

#[test]
fn a_date_is_waited_for_and_one_in_the_past_is_now() {
    let at = RetryAfter::At(Timestamp::new(1_000, 0));
    assert_eq!(at.delay(Timestamp::new(990, 1)), Duration::from_secs(10));
    assert_eq!(at.delay(Timestamp::new(2_000, 0)), Duration::ZERO);
}

#[test]
fn long_times_are_exact_as_far_as_they_can_be_said() {
    let days = Duration::from_secs(86_400 * 365);
    assert_eq!(Instant::default() + days, Instant::from_micros(31_536_000_000_000));
    let backoff = Backoff { initial: Duration::from_micros(1 << 62), jitter_percent: 0 };
    assert_eq!(backoff.delay(2, 0), Duration::from_micros(1 << 63));
    assert_eq!(backoff.delay(3, 0), Duration::from_micros(u64::MAX));
    assert_eq!(Backoff { initial: Duration::ZERO, ..backoff }.delay(255, 0), Duration::ZERO);
}

proptest! {
    #[test]
    fn backoff_doubles_and_jitter_only_adds(
        millis in 1_u64..100_000, attempts in 1_u8..=255, jitter_percent in 0_u8..=100, random: u32
    ) {
        let initial = Duration::from_millis(millis);
        let exact = Backoff { initial, jitter_percent: 0 }.delay(attempts, random);
        let doubled = u128::from(millis * 1_000) << u32::from(attempts - 1).min(90);
        let expected = u64::try_from(doubled).unwrap_or(u64::MAX);
        prop_assert_eq!(exact, Duration::from_micros(expected));
        let jittered = Backoff { initial, jitter_percent }.delay(attempts, random);
        prop_assert!(jittered >= exact);
        prop_assert!(jittered - exact <= exact * u32::from(jitter_percent) / 100);
    }

    #[test]
    fn no_header_panics(value: Vec<u8>) {
        let _ = RetryAfter::parse(&value);
    }
}

#[test]
fn jitter_makes_a_wait_longer_by_up_to_its_percentage() {
    let backoff = Backoff { initial: Duration::from_secs(100), jitter_percent: 50 };
    for (attempts, random, seconds) in
        [(1, 0, 100), (1, 1, 100), (1, 50, 125), (1, 100, 150), (1, 101, 100), (2, 100, 300)]
    {
        let expected = Duration::from_secs(seconds)
            + if random == 1 { Duration::from_millis(500) } else { Duration::ZERO };
        assert_eq!(backoff.delay(attempts, random), expected, "{attempts}, {random}");
    }
    let all = Backoff { jitter_percent: 101, ..backoff };
    assert_eq!(all.delay(1, 100), Duration::from_secs(200));
}
