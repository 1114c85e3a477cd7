//! What is remembered, and how much.

use proptest::prelude::*;

use super::*;

fn told(body: &[u8]) -> Told<'_> {
    Told {
        at: Timestamp::UNIX_EPOCH,
        event_id: 1,
        topic: "t",
        events: 1,
        attempt: 1,
        is_probe: false,
        took: Duration::from_millis(2),
        outcome: Outcome::Answer { status: 204, is_accepted: true },
        answer: &[],
        body,
    }
}

#[test]
fn the_last_attempts_are_remembered_in_their_order() {
    let history = Histories::default().of("a");
    (0..250).for_each(|_| history.attempted(&told(b"{}")));
    let numbers: Vec<_> = history.attempts(0).iter().map(|it| it.number).collect();
    assert_eq!(numbers, (151..=250).collect::<Vec<_>>());
    assert_eq!(history.attempts(249).len(), 1);
}

#[test]
fn an_endpoint_fails_when_none_of_the_last_attempts_was_a_success() {
    let history = Histories::default().of("a");
    assert!(!history.has_failed());
    let refused = Outcome::Answer { status: 404, is_accepted: false };
    history.attempted(&Told { outcome: refused, ..told(b"{}") });
    assert!(history.has_failed());
    history.attempted(&told(b"{}"));
    for _ in 1..LAST {
        history.attempted(&Told { outcome: refused, ..told(b"{}") });
    }
    assert!(!history.has_failed());
    history.attempted(&Told { outcome: Outcome::Error("refused"), ..told(b"{}") });
    assert!(history.has_failed());
}

/// What 1,000 endpoints may take was the 64 MB in bodies alone.
#[test]
fn many_endpoints_share_the_memory_of_one() {
    let histories = Histories::default();
    let all: Vec<_> = (0..1_000).map(|n| histories.of(&format!("e{n}"))).collect();
    let long = vec![b'x'; 64 * 1024];
    for history in &all {
        (0..ATTEMPTS).for_each(|_| history.attempted(&told(&long)));
    }
    let sum: usize = all.iter().map(|history| lock(&history.memory).bytes).sum();
    assert!(sum <= BYTES, "{sum}");
    assert!(all.iter().all(|history| !history.attempts(0).is_empty()));
    let attempt = &all[0].attempts(0)[0];
    assert!(attempt.body.is_cut);
    let counted: usize = all[0].attempts(0).iter().map(Attempt::size).sum();
    assert_eq!(counted, lock(&all[0].memory).bytes);
}

/// The first ones had the memory for themselves.
#[test]
fn endpoints_that_are_added_later_take_their_share_from_the_others() {
    let histories = Histories::default();
    let long = vec![b'x'; 64 * 1024];
    let all: Vec<_> = (0..1_000)
        .map(|n| {
            let history = histories.of(&format!("e{n}"));
            (0..ATTEMPTS).for_each(|_| history.attempted(&told(&long)));
            history
        })
        .collect();
    all.iter().for_each(|history| history.sample(0, 0));
    let sum: usize = all.iter().map(|history| lock(&history.memory).bytes).sum();
    assert!(sum <= BYTES, "{sum}");
}

proptest! {
    /// Whatever comes, and however many share the memory.
    #[test]
    fn the_memory_is_bounded_and_counted(
        lengths in proptest::collection::vec((0..40_000_usize, 1..6_000_usize), 1..300),
    ) {
        let histories = Histories::default();
        let history = histories.of("a");
        let long = vec![b'x'; 40_000];
        for (length, endpoints) in lengths {
            histories.common.endpoints.store(endpoints, Relaxed);
            history.attempted(&told(&long[..length]));
            let share = histories.common.share();
            let memory = lock(&history.memory);
            let counted: usize = memory.attempts.iter().map(Attempt::size).sum();
            prop_assert_eq!(counted, memory.bytes);
            prop_assert!(memory.bytes <= share);
            prop_assert!((1..=ATTEMPTS).contains(&memory.attempts.len()));
            let numbers: Vec<_> = memory.attempts.iter().map(|it| it.number).collect();
            prop_assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
            prop_assert_eq!(numbers.last().copied(), Some(histories.common.newest.load(Relaxed)));
        }
    }
}

#[test]
fn a_second_has_what_happened_in_it() {
    let history = Histories::default().of("a");
    history.attempted(&told(b"{}"));
    history.attempted(&told(b"{}"));
    history.sample(2, 5);
    history.sample(2, 0);
    let first = Sample { delivered: 2, attempts: 2, micros: 4_000, waiting: 5 };
    assert_eq!(history.samples(), [first, Sample::default()]);
    (0..SAMPLES).for_each(|_| history.sample(2, 0));
    assert_eq!(history.samples().len(), SAMPLES);
}

#[test]
fn what_is_gone_is_forgotten() {
    let histories = Histories::default();
    histories.of("a").attempted(&told(b"{}"));
    histories.of("b");
    histories.keep(|name| name == "b");
    let again = histories.of("a");
    assert!(again.attempts(0).is_empty());
    // A page that saw the first one sees this one, too.
    again.attempted(&told(b"{}"));
    assert_eq!(again.attempts(1).len(), 1);
}
