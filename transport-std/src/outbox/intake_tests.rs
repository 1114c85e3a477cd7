//! When a batch is due, and what there is room for.

use pilot_webhook_core::Timestamp;

use super::*;
use crate::outbox::event::End;

const DELAY: Duration = Duration::from_millis(5);
const FAR: Duration = Duration::from_secs(60);

fn event() -> NewEvent<'static> {
    NewEvent::new("a", 7, Timestamp::UNIX_EPOCH)
}

fn ended() -> Ended {
    Ended { endpoint: EndpointId::PILOT, id: 1, end: End::Delivered }
}

fn submit(intake: &Intake, times: usize) {
    (0..times).for_each(|_| intake.put(&[event()], None, || Tell::Nobody).unwrap());
}

fn is_due(intake: &Intake, after: Duration) -> bool {
    let state = intake.state();
    state.is_due(state.since.unwrap_or_else(Instant::now) + after, DELAY)
}

#[test]
fn a_batch_waits_for_more_until_somebody_waits_for_it_or_it_is_large() {
    let intake = Intake::new(1 << 20, DELAY, 0);
    intake.hurry();
    assert!(!is_due(&intake, FAR), "nothing");
    submit(&intake, 1);
    assert!(!is_due(&intake, DELAY / 2));
    assert!(is_due(&intake, DELAY));
    submit(&intake, GROUP - 2);
    assert!(!is_due(&intake, Duration::ZERO));
    intake.end(ended());
    assert!(is_due(&intake, Duration::ZERO));

    let mut batch = Batch::default();
    assert_eq!(intake.take(&mut batch, Instant::now() + FAR), Woken::Batch);
    assert_eq!(batch.len(), GROUP);
    submit(&intake, 1);
    intake.hurry();
    assert!(is_due(&intake, Duration::ZERO));
}

#[test]
fn what_is_taken_and_not_committed_takes_room() {
    let size = event().size();
    let intake = Intake::new(3 * size, DELAY, size);
    submit(&intake, 2);
    assert_eq!(intake.put(&[event()], None, || Tell::Nobody), Err(PutError::Full));
    let mut batch = Batch::default();
    assert_eq!(intake.take(&mut batch, Instant::now() + FAR), Woken::Batch);
    assert_eq!(intake.put(&[event()], None, || Tell::Nobody), Err(PutError::Full));
    // Both were repetitions.
    intake.committed(batch.bytes(), size);
    submit(&intake, 2);
    assert_eq!(intake.put(&[event(); 4], None, || Tell::Nobody), Err(PutError::TooLarge));
    intake.disk_fails(true);
    assert_eq!(intake.put(&[event()], None, || Tell::Nobody), Err(PutError::Disk));
}

#[test]
fn ends_that_are_taken_leave_nothing_to_wait_for() {
    let intake = Intake::new(1 << 20, DELAY, 0);
    intake.end(ended());
    intake.hurry();
    let mut ends = Vec::new();
    intake.take_ends(&mut ends);
    assert_eq!(ends, [ended()]);
    let (mut batch, time) = (Batch::default(), Instant::now() + DELAY);
    assert_eq!(intake.take(&mut batch, time), Woken::Time);
    submit(&intake, 1);
    assert!(!is_due(&intake, Duration::ZERO));
}

#[test]
fn what_was_handed_in_before_the_close_is_written() {
    let intake = Intake::new(1 << 20, FAR, 0);
    submit(&intake, 1);
    intake.close();
    assert_eq!(intake.put(&[event()], None, || Tell::Nobody), Err(PutError::Closed));
    let mut batch = Batch::default();
    assert_eq!(intake.take(&mut batch, Instant::now() + FAR), Woken::Batch);
    assert_eq!(batch.lost(), 1);
    assert_eq!(intake.take(&mut batch, Instant::now() + FAR), Woken::Closed);
}
