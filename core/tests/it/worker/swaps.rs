//! What another endpoint interrupts, and what the same one does not.

use pilot_webhook_core::Config;

use super::notices::notices;
use super::receiver::{Answer, Receiver};
use super::time::Time;
use super::{at, core, emit, endpoint, swap, worker};

#[test]
fn a_swap_cancels_the_attempt_and_the_event_goes_to_the_new_endpoint_at_once() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Never]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(2, &mut worker).is_pending());
    swap(&core, "http://two.example/");
    assert!(time.run_until(60, &mut worker).is_pending());
    assert_eq!(receiver.posts(), [(0, "one.example".into()), (2, "two.example".into())]);
    assert_eq!(notices(&core), ["1.1: 204", "1 Delivered"]);
}

#[test]
fn a_swap_ends_a_backoff() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(500), Answer::Status(500)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(2, &mut worker).is_pending());
    swap(&core, "http://two.example/");
    assert!(time.run_until(60, &mut worker).is_pending());
    let expected = [(0, "one.example"), (1, "one.example"), (2, "two.example")];
    assert_eq!(receiver.posts(), expected.map(|(seconds, host)| (seconds, host.to_owned())));
}

/// Each time the URL was set again, the attempt under way was cancelled and made again, and what the
/// receiver had asked for was forgotten.
#[test]
fn setting_the_endpoint_that_is_set_interrupts_nothing() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Busy(30)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    let again = || core.set_endpoint(endpoint("http://one.example/"));
    assert!(time.run_until(10, &mut worker).is_pending());
    again().unwrap();
    assert!(time.run_until(60, &mut worker).is_pending());
    assert_eq!(receiver.times(), [0, 30]);
    // Another one, and one that was cleared, are set as ever. A closed dispatcher says so.
    core.set_endpoint(endpoint("http://two.example/")).unwrap();
    core.clear(at(60));
    core.set_endpoint(endpoint("http://two.example/")).unwrap();
    emit(&core);
    assert!(time.run_until(61, &mut worker).is_pending());
    assert_eq!(receiver.posts()[2], (60, "two.example".into()));
    core.close(at(61));
    assert!(core.set_endpoint(endpoint("http://two.example/")).is_err());
}
