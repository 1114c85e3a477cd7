//! The clock over embassy-time.

use std::time::Duration;

use pilot_webhook_core::{Clock, Instant, Timestamp};
use pilot_webhook_embassy::{EmbassyClock, WallClock, WallTime};

#[test]
fn before_the_time_is_known_the_wall_clock_counts_from_boot() {
    let wall = WallTime::new();
    let clock = EmbassyClock::new(&wall);
    assert_eq!(wall.get(), None);
    assert_eq!(clock.unix_seconds(), None);
    let uptime = clock.now().as_micros() / 1_000_000;
    let stamped = clock.wall().seconds();
    assert!(stamped - i64::try_from(uptime).unwrap() <= 1, "{stamped} {uptime}");
    assert!(clock.wall().to_string().starts_with("1970-01-01T00:"));
}

#[tokio::test]
async fn once_known_the_time_goes_on_and_can_be_corrected() {
    let wall = WallTime::new();
    let clock = EmbassyClock::new(&wall);
    for seconds in [1_795_392_000, 1_000_000_000] {
        wall.set(Timestamp::new(seconds, 999_000_000));
        let set = clock.now();
        assert!(clock.wall() >= Timestamp::new(seconds, 999_000_000));
        clock.sleep_until(set + Duration::from_millis(20)).await;
        assert!(clock.wall() >= Timestamp::new(seconds + 1, 0));
        assert!(clock.wall().seconds() < seconds + 30);
        assert_eq!(WallTime::unix_seconds(&wall), u64::try_from(clock.wall().seconds()).ok());
    }
}

#[tokio::test]
async fn a_sleep_ends_at_its_deadline_and_never_before() {
    let wall = WallTime::new();
    let clock = EmbassyClock::new(&wall);
    for micros in [0, 1, 999, 5_001] {
        let deadline = clock.now() + Duration::from_micros(micros);
        clock.sleep_until(deadline).await;
        assert!(clock.now() >= deadline);
    }
    clock.sleep_until(Instant::from_micros(0)).await;
}

#[tokio::test]
async fn a_sleep_without_end_does_not_overflow() {
    let wall = WallTime::new();
    let clock = EmbassyClock::new(&wall);
    let never = clock.sleep_until(Instant::from_micros(u64::MAX));
    assert!(tokio::time::timeout(Duration::from_millis(20), never).await.is_err());
}
