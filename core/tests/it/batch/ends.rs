//! What becomes of a batch that is not taken: smaller ones, its events one by one, or their end.

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    After, BreakerState, Config, Delivery, ErrorKind, Fate, Instant, OnOpen, Reply, Timestamp,
};

use super::{BUFFER, Core, DELAY, NOW, array, batches, core, emit, finish, swap, take, take_into};

#[test]
fn a_batch_that_is_too_large_comes_again_as_smaller_ones() {
    let core = core(batches(8));
    emit(&core, 8);
    let longest = array(1..=3).len();
    let mut bodies = Vec::new();
    while core.stats().queued > 0 {
        let (mut batch, body) = take(&core);
        let status = if body.len() > longest { 413 } else { 200 };
        finish(&core, &mut batch, status);
        bodies.push(body);
    }
    // Eight are refused, so half of their bytes is tried, which is three events and the brackets.
    assert_eq!(bodies, [array(1..=8), array(1..=3), array(4..=6), array(7..=8)]);
    let stats = core.stats();
    assert_eq!((stats.delivered, stats.rejected, stats.attempts), (8, 0, 4));
    // Another receiver may take more.
    swap(&core);
    emit(&core, 8);
    assert_eq!(take(&core).1, array(9..=16));
}

/// A batch was refused as a whole, though the receiver took each of its events alone but one.
#[test]
fn a_batch_that_is_refused_for_what_is_in_it_is_sent_event_by_event() {
    for status in [400, 422] {
        let core = core(batches(8));
        emit(&core, 20);
        let mut bodies = Vec::new();
        let mut now = NOW;
        while core.stats().queued > 0 {
            let (mut batch, body) = take_into(&core, now, BUFFER);
            let is_bad = body.contains(r#""event_id":11,"#);
            let status = if body.matches("event_id").count() > 7 || is_bad { status } else { 204 };
            bodies.push(body.matches("event_id").count());
            finish(&core, &mut batch, status);
            now = now + DELAY;
        }
        // One more for each that was taken, until the bad one is alone.
        assert_eq!(bodies, [8, 1, 2, 3, 4, 5, 1, 1, 2, 3, 3], "{status}");
        assert_eq!((core.stats().delivered, core.stats().rejected), (19, 1));
    }
}

/// A receiver that falls over a long body, and takes short ones.
#[test]
fn a_batch_that_used_up_its_attempts_is_sent_event_by_event() {
    let timeout = || Err(ErrorKind::Timeout);
    let reset = || Err(ErrorKind::Disconnected);
    let error = || Ok(Response::status(500).into());
    let ends: [&dyn Fn() -> Result<Reply, ErrorKind>; 3] = [&timeout, &reset, &error];
    for (on_open, end) in
        [OnOpen::Skip, OnOpen::Hold].into_iter().flat_map(|on| ends.map(|end| (on, end)))
    {
        let core = core(Config { on_open, ..batches(4) });
        emit(&core, 8);
        let mut now = NOW;
        while core.stats().queued + core.stats().in_flight > 0 {
            let (mut batch, _) = take_into(&core, now, BUFFER);
            let is_long = batch.events() > 3;
            let result = if is_long { end() } else { Ok(Response::status(204).into()) };
            if let After::Retry(at) = core.finish(&mut batch, result, now, Timestamp::UNIX_EPOCH) {
                now = at;
            }
        }
        let stats = core.stats();
        assert_eq!((stats.delivered, stats.circuit_opens), (8, 0));
        assert_eq!(stats.attempts, 3 + 4, "1, 2, 3, and 2 are left");
    }
}

/// The others of the batch are no reason to ask a receiver that said no for itself.
#[test]
fn a_batch_that_is_refused_for_what_it_is_stays_one() {
    let core = core(batches(4));
    emit(&core, 4);
    let (mut batch, _) = take(&core);
    assert_eq!(finish(&core, &mut batch, 403), After::Settled(Fate::Rejected));
    assert_eq!(core.stats().rejected, 4);
}

#[test]
fn an_event_that_is_too_large_alone_is_rejected() {
    let core = core(batches(2));
    emit(&core, 2);
    let (mut both, _) = take(&core);
    assert_eq!(finish(&core, &mut both, 413), After::Returned);
    assert_eq!((core.stats().queued, core.stats().in_flight), (2, 0));
    let (mut one, body) = take(&core);
    assert_eq!(body, array([1]));
    assert_eq!(finish(&core, &mut one, 413), After::Settled(Fate::Rejected));
    assert_eq!((core.stats().rejected, core.stats().queued), (1, 1));
}

#[test]
fn a_receiver_that_was_left_has_no_say_in_how_long_batches_are() {
    let core = core(batches(2));
    emit(&core, 2);
    let (mut both, _) = take(&core);
    swap(&core);
    assert_eq!(finish(&core, &mut both, 413), After::Returned);
    assert_eq!(take(&core).1, array(1..=2));
}

/// Nobody is there, until the last attempt of the batch is over. Returns when that was.
fn fail(core: &Core, mut batch: Delivery) -> Instant {
    let mut now = NOW;
    while let After::Retry(at) =
        core.finish(&mut batch, Err(ErrorKind::Connect), now, Timestamp::UNIX_EPOCH)
    {
        now = at;
        batch = take_into(core, now, BUFFER).0;
    }
    now
}

#[test]
fn a_batch_is_one_failure_of_the_breaker_and_all_its_events_are_exhausted() {
    let core = core(batches(3));
    emit(&core, 9);
    for n in 1..=2 {
        let (batch, _) = take(&core);
        fail(&core, batch);
        assert_eq!(core.stats().exhausted, 3 * n);
        assert_eq!(core.stats().attempts, 3 * n);
        let is_open = core.stats().breaker == BreakerState::Open;
        assert_eq!(is_open, n == 2, "two failures in a row");
    }
}

#[test]
fn with_hold_a_batch_goes_back_to_its_place() {
    let core = core(Config { on_open: OnOpen::Hold, circuit_threshold: 1, ..batches(2) });
    emit(&core, 3);
    let (batch, _) = take(&core);
    let now = fail(&core, batch);
    assert_eq!((core.stats().queued, core.stats().attempts), (3, 3));
    let later = now + core.config().circuit_cooldown;
    let (probe, body) = take_into(&core, later, BUFFER);
    // One event is enough to learn whether the receiver is there.
    assert_eq!((body, probe.is_probe()), (array([1]), true));
}
