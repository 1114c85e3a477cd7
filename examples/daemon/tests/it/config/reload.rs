//! Reloads: what did not change goes on, and no event is lost.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{endpoint, topics};
use crate::ipc::daemon::{Daemon, Place};
use crate::support::Sink;

/// How many events there are under load, and after how many of them the file changes.
const EVENTS: usize = 3_000;
const STEP: usize = 150;

/// A daemon with a configuration.
struct World {
    place: Place,
    path: PathBuf,
}

impl World {
    fn new(text: &str) -> (Self, Daemon) {
        let place = Place::new();
        let path = place.directory.path().join("pilot.toml");
        let world = Self { place, path };
        world.write(text);
        let daemon =
            world.place.daemon(&["--events", "-", "--config", world.path.to_str().unwrap()]);
        (world, daemon)
    }

    fn write(&self, text: &str) {
        // As docs/config.md has it: beside it, and renamed.
        let new = self.path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.path).unwrap();
    }

    /// `pilot-webhookd reload`: its status and what it says.
    fn reload(&self) -> (i32, Vec<String>) {
        let output = self.place.command("reload").output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text.lines().map(str::to_owned).collect())
    }

    /// Applies a text, and expects this to be done.
    #[track_caller]
    fn apply(&self, text: &str, done: &[&str]) {
        self.write(text);
        let (status, lines) = self.reload();
        assert_eq!((status, lines.iter().map(String::as_str).collect()), (0, done.to_vec()));
    }
}

/// With `drop-newest` most of the lines would find a full queue.
#[test]
fn what_on_full_says_counts_for_those_who_bring_events_too() {
    let sink = Sink::start();
    let block = endpoint("pilot", &sink.url(), "queue_capacity = 2");
    let full = |on_full| block.replace("\"block\"", &format!("\"{on_full}\""));
    let (world, mut daemon) = World::new(&full("drop-newest"));
    daemon.event("first");
    sink.wait_for(1);
    world.apply(&full("block"), &["pilot delivers by other options"]);
    for _ in 0..200 {
        daemon.event("t");
    }
    sink.wait_for(201);
}

#[test]
fn what_changed_is_done_and_said() {
    let (one, two) = (Sink::start(), Sink::start());
    let pilot = endpoint("pilot", &one.url(), "");
    let (world, mut daemon) = World::new(&pilot);
    daemon.event("first");
    one.wait_for(1);
    world.apply(&pilot, &["the configuration is as it was"]);
    let both = |further: &str| pilot.clone() + &endpoint("two", &two.url(), further);
    world.apply(&both("topics = \"a\""), &["two is new"]);
    daemon.event("a");
    daemon.event("b");
    one.wait_for(3);
    two.wait_for(1);
    world.apply(&both("topics = \"b\""), &["two gets other events"]);
    daemon.event("a");
    daemon.event("b");
    two.wait_for(2);
    world.apply(&both("topics = \"b\"\nbatch = 2"), &["two delivers by other options"]);
    world.apply(
        &both("topics = \"b\"\nbatch = 2\nheader = \"X-A: 1\""),
        &["the configuration is as it was"],
    );
    world.apply(
        &endpoint("pilot", &two.url(), ""),
        &["pilot delivers to another URL", "two is gone"],
    );
    daemon.event("c");
    two.wait_for(3);
    world.apply(
        &format!("listen = 1\nnode_id = 7\n{}", endpoint("pilot", &two.url(), "")),
        &["from the next start on: listen, node_id"],
    );
    assert_eq!(topics(&one), ["first", "a", "b", "a", "b"]);
    assert_eq!(topics(&two), ["a", "b", "c"]);
    daemon.terminate();
}

#[test]
fn a_bad_file_changes_nothing_and_all_of_it_is_said() {
    let sink = Sink::start();
    let (world, mut daemon) = World::new(&endpoint("pilot", &sink.url(), ""));
    world.write(&format!("zzz = 1\n{}batch = 0\n", endpoint("other", "http://127.0.0.1:1/", "")));
    let (status, lines) = world.reload();
    assert_eq!(status, 1);
    let path = world.path.display();
    let expected = [
        format!("the daemon at {} refused:", world.place.socket.display()),
        format!("{path}:1: zzz: there is no such key (docs/config.md has all)"),
        format!("{path}:7: batch: \"0\": expected a number from 1 to 65535"),
        format!("pilot-webhookd: {path}: 2 errors; nothing of it is applied"),
    ];
    assert_eq!(lines, expected);
    daemon.wait_for_log("2 errors; nothing of it is applied");
    daemon.signal("HUP");
    daemon.wait_for_log("zzz: there is no such key");
    daemon.wait_for_log("2 errors; nothing of it is applied");
    daemon.event("still");
    sink.wait_for(1);
    fs::remove_file(&world.path).unwrap();
    assert_eq!(world.reload().0, 1);
    assert_eq!(daemon.terminate()["delivered"], 1);
}

#[test]
fn a_url_that_was_set_over_the_socket_outlives_reloads() {
    let (one, two) = (Sink::start(), Sink::start());
    let text = endpoint("pilot", &one.url(), "");
    let (world, mut daemon) = World::new(&text);
    assert!(world.place.command("set-webhook").arg(two.url()).status().unwrap().success());
    world.apply(&format!("{text}batch = 2\n"), &["pilot delivers by other options"]);
    daemon.event("a");
    two.wait_for(1);
    assert_eq!(one.received().len(), 0);
    daemon.terminate();
}

#[test]
fn without_an_endpoint_for_it_a_webhook_is_not_set() {
    let sink = Sink::start();
    let (world, mut daemon) = World::new(&endpoint("other", &sink.url(), ""));
    let refused = world.place.command("set-webhook").arg(sink.url()).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("no endpoint called pilot"), "{said}");
    // It comes by a reload.
    let text = endpoint("other", &sink.url(), "") + "[[endpoint]]\nname = \"pilot\"\n";
    world.apply(&text, &["pilot is new"]);
    assert!(world.place.command("set-webhook").arg(sink.url()).status().unwrap().success());
    daemon.event("a");
    sink.wait_for(2);
    assert_eq!(daemon.terminate()["delivered"], 2);
}

/// The events wait in the file for each endpoint, and a reload hands them over.
#[test]
fn with_an_outbox_events_wait_for_each_endpoint_and_reloads_lose_none() {
    let (well, late) = (Sink::start(), Sink::reserve());
    let text = |n: usize| {
        "outbox = \"events.db\"\nretry_backoff = \"50ms\"\ncircuit_cooldown = \"1s\"\n".to_owned()
            + &endpoint("well", &well.url(), &format!("circuit_threshold = {}", n + 1))
            + &endpoint("late", &late.url(), &format!("circuit_threshold = {}", n + 1))
    };
    let (world, mut daemon) = World::new(&text(0));
    for n in 0..200 {
        daemon.event(&format!("t{n}"));
        if n % 50 == 49 {
            world.write(&text(n));
            assert_eq!(world.reload().0, 0);
        }
    }
    well.wait_for(200);
    let late = late.start_after(Duration::ZERO).join().unwrap();
    late.wait_for(200);
    for sink in [&well, &late] {
        let once: BTreeSet<_> = topics(sink).into_iter().collect();
        assert_eq!(once.len(), 200);
    }
    daemon.terminate();
}

#[test]
fn under_load_no_event_is_lost_and_what_did_not_change_keeps_its_order() {
    let sinks: Vec<_> = (0..5).map(|_| Sink::start()).collect();
    let [stable, replaced, moved, other, filtered] = &sinks[..] else { unreachable!() };
    let text = |n: usize| {
        let target = if n.is_multiple_of(2) { moved } else { other };
        let topics = if n.is_multiple_of(2) { "topics = \"*\"" } else { "exclude = \"none\"" };
        let mut text = endpoint("stable", &stable.url(), "")
            + &endpoint("replaced", &replaced.url(), &format!("circuit_threshold = {}", n + 1))
            + &endpoint("moved", &target.url(), "")
            + &endpoint("filtered", &filtered.url(), topics);
        if n % 3 == 1 {
            // It comes and goes, and is never there.
            text += &endpoint("none", "http://127.0.0.1:1/", "topics = \"none\"");
        }
        text
    };
    let (world, mut daemon) = World::new(&text(0));
    for n in 0..EVENTS {
        daemon.event(&format!("t{n}"));
        if n % STEP == STEP - 1 {
            world.write(&text(n / STEP + 1));
            if n % (2 * STEP) == STEP - 1 {
                daemon.signal("HUP");
            } else {
                assert_eq!(world.reload().0, 0);
            }
        }
    }
    daemon.end_of_events();
    daemon.wait_for_log("end of the events");
    for sink in [stable, replaced, filtered] {
        sink.wait_for(EVENTS);
    }
    let expected: Vec<_> = (0..EVENTS).map(|n| format!("t{n}")).collect();
    let stats: Value = daemon.terminate();
    assert!(topics(stable) == expected, "{stats}");
    for sinks in [&[replaced][..], &[moved, other], &[filtered]] {
        let arrived: Vec<_> = sinks.iter().flat_map(|sink| topics(sink)).collect();
        let once: BTreeSet<_> = arrived.iter().collect();
        let missing: Vec<_> = expected.iter().filter(|topic| !once.contains(topic)).collect();
        assert!(missing.is_empty(), "{missing:?} {stats}");
        // An attempt that is under way when the URL changes is made at the new one, too.
        let again = if sinks.len() == 2 { EVENTS / STEP } else { 0 };
        assert!(arrived.len() <= EVENTS + again, "{} {stats}", arrived.len());
    }
    assert_eq!(stats["delivered"], 4 * EVENTS, "{stats}");
    assert_eq!(stats["events"], EVENTS, "{stats}");
}
