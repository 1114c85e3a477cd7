//! Instants, and timestamps as they are written.

use std::time::Duration;

use pilot_webhook_core::{Instant, Timestamp};
use proptest::prelude::*;

#[test]
fn timestamps_outside_the_calendar_are_cut_to_its_ends() {
    assert_eq!(Timestamp::new(i64::MIN, 5).to_string(), "0000-01-01T00:00:00Z");
    assert_eq!(Timestamp::new(i64::MAX, 5).to_string(), "9999-12-31T23:59:59.999999999Z");
    assert_eq!(Timestamp::new(0, u32::MAX).to_string(), "1970-01-01T00:00:00.999999999Z");
}

proptest! {
    #[test]
    fn instants_saturate(micros: u64, seconds: u64) {
        let start = Instant::from_micros(micros);
        let end = start + Duration::from_secs(seconds);
        prop_assert!(end >= start);
        prop_assert!(end.saturating_since(start) <= Duration::from_secs(seconds));
    }

    /// jiff is the judge of what a timestamp's text means.
    #[test]
    fn timestamps_are_read_back_equal(seconds in -62_135_596_800_i64..253_402_207_200, nanos in 0_u32..1_000_000_000) {
        let text = Timestamp::new(seconds, nanos).to_string();
        let parsed: jiff::Timestamp = text.parse().unwrap();
        prop_assert_eq!(parsed.as_nanosecond(), i128::from(seconds) * 1_000_000_000 + i128::from(nanos));
        prop_assert!(!text.contains("0Z") || !text.contains('.'), "{}", text);
    }

    #[test]
    fn every_second_has_its_date(seconds in -62_167_219_200_i64..=253_402_300_799) {
        // jiff's last second is a day earlier.
        if let Ok(expected) = jiff::Timestamp::from_second(seconds) {
            prop_assert_eq!(Timestamp::new(seconds, 0).to_string(), expected.to_string());
        }
    }
}
