//! The breaker against a model that is written differently: a list of what happened.

use core::time::Duration;

use pilot_webhook_core::{Admission, Breaker, BreakerState, Instant, Permit};
use proptest::prelude::*;

const COOLDOWN: Duration = Duration::from_secs(30);

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

/// A breaker that has just opened after `threshold` failures at 0 s.
fn opened(threshold: u16) -> Breaker {
    let mut breaker = Breaker::new(threshold, COOLDOWN);
    for _ in 0..threshold {
        assert_eq!(breaker.admit(at(0)), Admission::Allowed(Permit::Normal));
        breaker.failure(Permit::Normal, at(0));
    }
    breaker
}

#[test]
fn opens_at_the_threshold_and_not_before() {
    let mut breaker = Breaker::new(5, COOLDOWN);
    for _ in 0..4 {
        breaker.failure(Permit::Normal, at(0));
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
    breaker.failure(Permit::Normal, at(0));
    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(breaker.opens(), 1);
}

#[test]
fn a_success_between_failures_starts_the_count_anew_and_a_rejection_does_not() {
    let mut breaker = Breaker::new(2, COOLDOWN);
    breaker.failure(Permit::Normal, at(0));
    breaker.success(Permit::Normal);
    breaker.failure(Permit::Normal, at(0));
    assert_eq!(breaker.state(), BreakerState::Closed);
    breaker.answered(Permit::Normal);
    breaker.failure(Permit::Normal, at(0));
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn lets_one_probe_through_after_the_cooldown() {
    let mut breaker = opened(5);
    assert_eq!(breaker.admit(at(29)), Admission::Until(at(30)));
    assert_eq!(breaker.admit(at(30)), Admission::Allowed(Permit::Probe));
    assert_eq!(breaker.admit(at(30)), Admission::Probing);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

#[test]
fn a_probe_that_succeeds_closes_and_forgets() {
    let mut breaker = opened(2);
    breaker.admit(at(30));
    breaker.success(Permit::Probe);
    assert_eq!(breaker.state(), BreakerState::Closed);
    breaker.failure(Permit::Normal, at(30));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn a_probe_that_is_rejected_closes_because_the_receiver_is_there() {
    let mut breaker = opened(5);
    breaker.admit(at(30));
    breaker.answered(Permit::Probe);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn a_probe_that_fails_reopens_for_another_cooldown() {
    let mut breaker = opened(5);
    breaker.admit(at(30));
    breaker.failure(Permit::Probe, at(31));
    assert_eq!(breaker.admit(at(60)), Admission::Until(at(61)));
    assert_eq!(breaker.opens(), 2);
}

#[test]
fn a_probe_that_is_given_up_can_be_made_again_at_once() {
    let mut breaker = opened(5);
    breaker.admit(at(30));
    breaker.abort(Permit::Probe);
    assert_eq!(breaker.admit(at(30)), Admission::Allowed(Permit::Probe));
    assert_eq!(breaker.opens(), 1);
}

#[test]
fn what_was_under_way_since_before_it_opened_changes_nothing() {
    let mut breaker = opened(5);
    breaker.success(Permit::Normal);
    breaker.failure(Permit::Normal, at(20));
    assert_eq!(breaker.admit(at(29)), Admission::Until(at(30)));
    breaker.admit(at(30));
    breaker.success(Permit::Normal);
    breaker.answered(Permit::Normal);
    breaker.failure(Permit::Normal, at(30));
    breaker.abort(Permit::Normal);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

#[test]
fn a_trip_holds_until_its_time_and_never_shortens() {
    let mut breaker = Breaker::new(5, COOLDOWN);
    breaker.trip(at(100));
    breaker.trip(at(50));
    assert_eq!(breaker.admit(at(99)), Admission::Until(at(100)));
    assert_eq!(breaker.admit(at(100)), Admission::Allowed(Permit::Probe));
    assert_eq!(breaker.opens(), 1);
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Wait(u8),
    Admit,
    Success,
    Answered,
    Failure,
    Abort,
    Trip(u8),
    Reset,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (0..40_u8).prop_map(Op::Wait),
        6 => Just(Op::Admit),
        2 => Just(Op::Success),
        1 => Just(Op::Answered),
        6 => Just(Op::Failure),
        1 => Just(Op::Abort),
        1 => (0..90_u8).prop_map(Op::Trip),
        1 => Just(Op::Reset),
    ]
}

proptest! {
    /// One worker: every permit is used before the next is asked for.
    #[test]
    fn never_sends_while_open_and_opens_exactly_at_the_threshold(
        threshold in 1_u16..6,
        ops in prop::collection::vec(op(), 1..200),
    ) {
        let mut breaker = Breaker::new(threshold, COOLDOWN);
        let mut now = 0;
        let mut permit = None;
        // The model: failures in a row, and until when nothing may be sent.
        let (mut row, mut open_until) = (0, None);
        for op in ops {
            match op {
                Op::Wait(seconds) => now += u64::from(seconds),
                Op::Admit if permit.is_none() => match (breaker.admit(at(now)), open_until) {
                    (Admission::Allowed(Permit::Normal), None) => permit = Some(Permit::Normal),
                    (Admission::Allowed(Permit::Probe), Some(until)) => {
                        prop_assert!(now >= until);
                        permit = Some(Permit::Probe);
                    }
                    (Admission::Until(until), Some(expected)) => {
                        prop_assert!(now < expected);
                        prop_assert_eq!(until, at(expected));
                    }
                    (answer, model) => prop_assert!(false, "{answer:?} but the model has {model:?}"),
                },
                Op::Admit => {}
                Op::Success => if let Some(permit) = permit.take() {
                    breaker.success(permit);
                    (row, open_until) = (0, None);
                },
                Op::Answered => if let Some(used) = permit.take() {
                    breaker.answered(used);
                    if used == Permit::Probe {
                        (row, open_until) = (0, None);
                    }
                },
                Op::Failure => if let Some(used) = permit.take() {
                    breaker.failure(used, at(now));
                    row += 1;
                    if used == Permit::Probe || row >= threshold {
                        open_until = Some(now + COOLDOWN.as_secs());
                    }
                },
                Op::Abort => if let Some(used) = permit.take() {
                    breaker.abort(used);
                    if used == Permit::Probe {
                        open_until = Some(0);
                    }
                },
                Op::Trip(seconds) => if permit.take().is_some() {
                    breaker.trip(at(now + u64::from(seconds)));
                    open_until = Some(now + u64::from(seconds));
                },
                Op::Reset => {
                    breaker.reset();
                    (row, open_until, permit) = (0, None, None);
                }
            }
            let state = match (open_until, permit) {
                (None, _) => BreakerState::Closed,
                (Some(_), Some(Permit::Probe)) => BreakerState::HalfOpen,
                _ => BreakerState::Open,
            };
            prop_assert_eq!(breaker.state(), state);
        }
    }
}
