//! A slow disk behind `--listen`: an answer follows the disk, repetitions double nothing, and without room the sender
//! is told so.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::life::Life;
use crate::place::{EVENTS, Place};
use crate::post::{PATIENCE, post};
use crate::shim;

/// A daemon on such a disk, that listens. `None`: the disk cannot be slowed down here.
fn start(place: &Place, disk: Duration, options: &[&str]) -> Option<(Life, SocketAddr)> {
    let mut command = place.daemon();
    command.args(["--listen", "0"]).args(options);
    if !shim::slow_down(&mut command, disk) {
        return None;
    }
    let mut life = Life::start(&mut command);
    let address = life.address().unwrap();
    Some((life, address))
}

fn repeats(place: &Place) -> u64 {
    place.status().unwrap().ledger.repeats
}

/// What was posted is there once, and arrives in order.
fn expect_all(place: &Place, mut life: Life) {
    life.until(|| place.status().is_some_and(|status| status.ledger.stored == 0));
    // What is left of its life would be many slow commits.
    life.child().kill().unwrap();
    assert!(life.end().is_killed());
    assert_eq!(place.check("a slow disk"), EVENTS);
    assert_eq!(place.receiver.arrivals(), EVENTS, "each once");
}

#[test]
fn an_answer_follows_the_disk() {
    let (place, disk) = (Place::new(), Duration::from_millis(300));
    let Some((life, address)) = start(&place, disk, &[]) else { return };
    for number in 1..=EVENTS {
        let answer = post(address, number, PATIENCE).unwrap();
        assert_eq!(answer.status, 204);
        assert!(answer.after >= disk, "{answer:?}");
        assert_eq!(place.status().unwrap().ledger.accepted, number);
    }
    expect_all(&place, life);
}

/// All of its attempts go unanswered, and it goes on to the next event.
#[test]
fn a_sender_that_waits_for_less_time_than_the_disk_takes_doubles_nothing() {
    let (place, disk) = (Place::new(), Duration::from_millis(300));
    let Some((life, address)) = start(&place, disk, &[]) else { return };
    for number in 1..=EVENTS {
        for _ in 0..3 {
            let answer = post(address, number, Duration::from_millis(60));
            assert!(answer.is_none(), "{answer:?}");
        }
    }
    let mut life = life;
    let is_all = || {
        place.status().is_some_and(|status| {
            (status.ledger.accepted, status.ledger.repeats) == (EVENTS, 2 * EVENTS)
        })
    };
    assert!(life.until(is_all), "{:?}", place.status());
    expect_all(&place, life);
}

/// The disk takes three seconds, and what comes while it is busy takes up to six: the original waits for five.
#[test]
fn the_original_is_told_to_come_again_before_it_gives_up() {
    let (place, disk) = (Place::new(), Duration::from_secs(3));
    let Some((life, address)) = start(&place, disk, &[]) else { return };
    let first = thread::spawn(move || post(address, 1, PATIENCE).unwrap());
    // Into the first one's commit: the time is what is tested.
    thread::sleep(Duration::from_secs(1));
    let second = post(address, 2, PATIENCE).expect("an answer in time");
    let first = first.join().unwrap();
    assert_eq!(first.status, 204, "{first:?}");
    assert_eq!(second.status, 503, "{second:?}");
    assert!(second.head.contains("\r\nretry-after: 1\r\n"), "{second:?}");
    for number in 2..=EVENTS {
        while post(address, number, PATIENCE).is_none_or(|answer| answer.status != 204) {}
    }
    assert!(repeats(&place) >= 1);
    expect_all(&place, life);
}

#[test]
fn what_has_no_room_is_sent_back_at_once_while_the_disk_is_busy() {
    let (place, disk) = (Place::new(), Duration::from_secs(1));
    // Room for one of 34 or 40 bytes, and its end takes a commit, too.
    let options = ["--on-full", "drop-newest", "--outbox-max-bytes", "60"];
    let Some((life, address)) = start(&place, disk, &options) else { return };
    let mut sent_back = 0;
    let mut attempt = move |number| loop {
        let answer = post(address, number, PATIENCE).unwrap();
        match answer.status {
            204 => break sent_back,
            503 => {
                sent_back += 1;
                assert!(answer.head.contains("\r\nretry-after: 1\r\n"), "{answer:?}");
                assert!(answer.after < disk, "{answer:?}");
            }
            _ => panic!("{answer:?}"),
        }
        thread::sleep(Duration::from_millis(10));
    };
    let sent_back = (1..=EVENTS).map(&mut attempt).last().unwrap();
    assert!(sent_back > 0, "there was room for all");
    expect_all(&place, life);
}
