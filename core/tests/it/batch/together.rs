//! Which events go together.

use pilot_webhook_core::{After, ConfigError, Fate, Next, PilotFormat};

use super::{NOW, array, batches, core, emit, finish, room, take, take_into};

#[test]
fn a_batch_of_no_events_is_no_config() {
    assert_eq!(batches(0).validate(), Err(ConfigError::Batch));
    assert_eq!(batches(1).validate(), Ok(()));
}

#[test]
fn events_that_wait_go_together_in_their_order_and_each_is_counted() {
    let core = core(batches(3));
    emit(&core, 4);
    let (mut batch, body) = take(&core);
    assert_eq!((body, batch.event_id(), batch.events()), (array(1..=3), 1, 3));
    assert_eq!((core.stats().in_flight, core.stats().queued, core.stats().attempts), (3, 1, 1));
    assert_eq!(finish(&core, &mut batch, 204), After::Settled(Fate::Delivered));
    assert_eq!((core.stats().in_flight, core.stats().delivered), (0, 3));
    // What is left goes alone, and is still an array.
    assert_eq!(take(&core).1, array([4]));
}

#[test]
fn a_batch_is_as_long_as_the_workers_buffer_at_most() {
    let core = core(batches(100));
    emit(&core, 5);
    assert_eq!(take_into(&core, NOW, room(2)).1, array(1..=2));
    assert_eq!(take_into(&core, NOW, room(3) - 1).1, array(3..=4));
    let next = core.next(NOW, PilotFormat::BOUND, &mut vec![0; room(1) - 1]).0;
    assert!(matches!(next, Next::Again), "too short for any");
    assert_eq!(core.stats().oversize, 1);
}

#[test]
fn a_batch_that_comes_back_is_not_mixed_with_one_that_is_under_way() {
    let core = core(batches(2));
    emit(&core, 5);
    let (mut first, _) = take(&core);
    let (_second, body) = take(&core);
    assert_eq!(body, array(3..=4));
    core.release(&mut first);
    // Not 1, 2 and 5: what lies between is in other hands.
    assert_eq!(take(&core).1, array(1..=2));
    assert_eq!(take(&core).1, array([5]));
}
