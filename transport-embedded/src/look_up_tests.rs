//! A resolver that answers when it is told to, and attempts that are over before.

use core::net::Ipv4Addr;
use core::pin::pin;
use core::task::Poll;
use std::borrow::ToOwned;
use std::string::String as Text;
use std::vec;
use std::vec::Vec;

use embassy_futures::poll_once;

use super::*;

type Answer = Result<IpAddr, &'static str>;

const FOUND: Answer = Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
const FAILED: Answer = Err("no such name");

#[derive(Default)]
struct Resolver {
    asked: RefCell<Vec<Text>>,
    answer: Signal<NoopRawMutex, Answer>,
}

/// An answer to a look-up that was given up is none to the next one.
struct Over<'a>(&'a Signal<NoopRawMutex, Answer>);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.reset();
    }
}

impl Dns for Resolver {
    type Error = &'static str;

    async fn get_host_by_name(&self, name: &str, _kind: AddrType) -> Answer {
        self.asked.borrow_mut().push(name.to_owned());
        let _over = Over(&self.answer);
        self.answer.wait().await
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, &'static str> {
        Err("nobody asks")
    }
}

/// What happens.
#[derive(Clone, Copy)]
enum Step<'a> {
    /// An attempt asks for this name. It ends at once, with an answer (this one) or without.
    Attempt(&'a str, Option<Answer>),
    /// The resolver answers.
    Answer(Answer),
    /// The same, just before the next step.
    LateAnswer(Answer),
}

use Step::{Answer as Answered, Attempt, LateAnswer};

/// Plays this, and returns the names that the resolver was asked for.
fn play(steps: &[Step<'_>]) -> Vec<Text> {
    let resolver = Resolver::default();
    let look_ups = LookUps::over(&resolver);
    let mut run = pin!(look_ups.run());
    for (at, step) in steps.iter().enumerate() {
        match step {
            Attempt(name, expected) => {
                let mut ask = pin!(look_ups.get_host_by_name(name, AddrType::IPv4));
                let mut got = poll_once(ask.as_mut());
                assert!(poll_once(run.as_mut()).is_pending());
                if got.is_pending() {
                    got = poll_once(ask);
                }
                assert_eq!(got, expected.map_or(Poll::Pending, Poll::Ready), "step {at}");
            }
            Answered(answer) => {
                resolver.answer.signal(*answer);
                assert!(poll_once(run.as_mut()).is_pending());
            }
            LateAnswer(answer) => resolver.answer.signal(*answer),
        }
    }
    resolver.asked.take()
}

#[test]
fn an_attempt_waits_for_the_answer() {
    let resolver = Resolver::default();
    let look_ups = LookUps::over(&resolver);
    for answer in [FOUND, FAILED] {
        let asking = look_ups.get_host_by_name("a", AddrType::IPv4);
        let answering = async {
            embassy_futures::yield_now().await;
            resolver.answer.signal(answer);
            look_ups.run().await
        };
        let Either::First(got) = embassy_futures::block_on(select(asking, answering));
        assert_eq!(got, answer);
    }
    assert_eq!(resolver.asked.take(), ["a", "a"]);
}

#[test]
fn attempts_share_a_look_up_and_what_it_found_serves_the_next_one_only() {
    let steps = [
        Attempt("a", None),
        Attempt("a", None),
        Answered(FOUND),
        Attempt("a", Some(FOUND)),
        Attempt("a", None),
    ];
    assert_eq!(play(&steps), ["a", "a"]);
}

#[test]
fn a_failure_that_no_attempt_waited_for_is_not_kept() {
    let steps = [Attempt("a", None), Answered(FAILED), Attempt("a", None), Answered(FOUND)];
    assert_eq!(play(&steps), ["a", "a"]);
}

#[test]
fn another_name_ends_the_look_up_and_gets_no_answer_of_it() {
    let steps = [
        Attempt("a", None),
        Attempt("b", None),
        Answered(FOUND),
        Attempt("a", None),
        Attempt("b", None),
        Answered(FOUND),
        Attempt("b", Some(FOUND)),
    ];
    assert_eq!(play(&steps), ["a", "b", "a", "b"]);
}

#[test]
fn an_answer_that_comes_with_the_next_question_is_none_to_it() {
    let steps = [
        Attempt("a", None),
        LateAnswer(FOUND),
        Attempt("b", None),
        Answered(FAILED),
        Attempt("b", None),
    ];
    assert_eq!(play(&steps), ["a", "b", "b"]);
}

#[test]
fn a_name_that_is_too_long_to_be_kept_is_looked_up_by_each_attempt() {
    let (long, longest) = ("a".repeat(NAME + 1), "a".repeat(NAME));
    let steps = [Attempt(&long, None), Answered(FOUND), Attempt(&long, Some(FOUND))];
    assert_eq!(play(&steps), [&*long, &*long]);
    let steps = [Attempt(&longest, None), Answered(FOUND), Attempt(&longest, Some(FOUND))];
    assert_eq!(play(&steps), vec![longest]);
}

#[test]
fn what_is_kept_serves_the_same_question_for_a_while() {
    let question =
        Question { name: String::try_from("a").unwrap_or_default(), kind: AddrType::IPv4 };
    let now = Instant::now();
    let asked = Asked { question, answer: Some((FOUND, now)) };
    assert!(asked.serves("a", &AddrType::IPv4, now + KEPT_FOR));
    assert!(!asked.serves("a", &AddrType::IPv4, now + KEPT_FOR + Duration::from_ticks(1)));
    assert!(!asked.serves("a", &AddrType::IPv6, now));
    assert!(!asked.serves("b", &AddrType::IPv4, now));
}
