//! What an endpoint asks for, over the socket and restarts.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::daemon::{Place, finish};
use crate::asked::receiver::Receiver;
use crate::support::bare;

/// It was refused, and pilot's own daemon shows it to everybody.
#[test]
fn a_password_in_a_url_is_sent_survives_and_is_shown_nowhere() {
    let place = Place::new();
    let receiver = Receiver::start(|_| 200);
    let mut daemon = place.daemon(&["--events", "-"]);
    let mut set = place.command("set-webhook");
    let (status, said, _) = finish(set.arg(receiver.url_of("user:hush")).arg("--json"));
    assert_eq!(status, 0, "{said}");
    assert!(said.contains(&receiver.url()) && !said.contains("hush"), "{said}");
    let (_, said, _) = finish(place.command("set-webhook").arg(receiver.url_of("user:hush")));
    assert!(said.contains(&receiver.url()) && !said.contains("hush"), "{said}");
    daemon.event("first");
    receiver.wait_for(1);
    assert_eq!(daemon.info()["webhook"]["url"], receiver.url());
    assert_eq!(daemon.terminate()["delivered"], 1);
    let kept = fs::read_to_string(place.home.path().join("webhook_url")).unwrap();
    assert_eq!(kept, receiver.url());

    let mut daemon = place.daemon(&["--events", "-"]);
    daemon.event("second");
    let requests = receiver.wait_for(2);
    for request in &requests {
        assert_eq!(request.all("Authorization"), ["Basic dXNlcjpodXNo"]);
    }
    let (_, said, _) = finish(&mut place.command("clear-webhook"));
    assert!(!said.contains("hush"), "{said}");
    daemon.terminate();
    assert_eq!(fs::read_dir(place.home.path()).unwrap().count(), 0, "nothing is left of it");
}

/// Waits until so many events are on disk.
fn wait_for_accepted(outbox: &Path, count: u64) {
    let begin = Instant::now();
    loop {
        let mut status = bare();
        status.args(["outbox", "status", "--json", "--outbox"]).arg(outbox);
        let (_, said, _) = finish(&mut status);
        let found: Value = serde_json::from_str(&said).unwrap();
        if found["accepted"] == count {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{said}");
    }
}

/// It answered every event with a refusal, and each was lost.
#[test]
fn an_endpoint_that_is_gone_is_left_alone_until_it_is_set_again() {
    let place = Place::new();
    let receiver = Receiver::start(|n| if n == 0 { 410 } else { 200 });
    let outbox = place.directory.path().join("outbox.db");
    let arguments = ["--events", "-", "--webhook", &receiver.url()];
    let arguments = [&arguments[..], &["--outbox", outbox.to_str().unwrap()]].concat();
    let mut daemon = place.daemon(&arguments);
    daemon.event("first");
    daemon.wait_for_log("410 Gone");
    daemon.event("second");
    // A signal ends the reading, of what is in the pipe, too.
    wait_for_accepted(&outbox, 2);
    assert_eq!(daemon.info()["webhook"]["breaker"], "gone");
    daemon.terminate();

    // Nor after a restart with the same URL.
    let mut daemon = place.daemon(&arguments);
    daemon.event("third");
    assert_eq!(daemon.info()["webhook"]["breaker"], "gone");
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(finish(place.command("set-webhook").arg(receiver.url())).0, 0);
    assert_eq!(daemon.info()["webhook"]["breaker"], "closed");
    let requests = receiver.wait_for(4);
    let bodies: Vec<_> =
        requests.iter().map(|request| String::from_utf8_lossy(&request.body)).collect();
    for (body, topic) in bodies.iter().zip(["first", "first", "second", "third"]) {
        assert!(body.contains(topic), "{bodies:?}");
    }
    daemon.terminate();

    let mut daemon = place.daemon(&arguments);
    daemon.event("fourth");
    receiver.wait_for(5);
    daemon.terminate();
}

/// Over a reload of another key, and over a restart; until its URL is another one.
#[test]
fn an_endpoint_with_a_name_that_is_gone_is_left_alone_until_its_url_changes() {
    let place = Place::new();
    let receiver = Receiver::start(|n| if n == 0 { 410 } else { 200 });
    let other = Receiver::start(|_| 200);
    let path = place.directory.path().join("pilot.toml");
    let (url, other_url) = (receiver.url(), other.url());
    let write = |url: &str, further: &str| {
        let outbox = place.directory.path().join("outbox.db");
        let crm = format!("[[endpoint]]\nname = \"crm\"\nurl = \"{url}\"\n{further}\n");
        let other = format!("[[endpoint]]\nname = \"other\"\nurl = \"{other_url}\"\n");
        fs::write(&path, format!("outbox = {outbox:?}\n{crm}{other}")).unwrap();
    };
    let reload = || assert_eq!(finish(&mut place.command("reload")).0, 0);
    write(&url, "");
    let arguments = ["--events", "-", "--config", path.to_str().unwrap()];
    let mut daemon = place.daemon(&arguments);
    daemon.event("first");
    daemon.wait_for_log("410 Gone");
    write(&url, "batch = 2");
    reload();
    daemon.event("second");
    other.wait_for(2);
    daemon.terminate();
    let mut daemon = place.daemon(&arguments);
    daemon.event("third");
    other.wait_for(3);
    assert_eq!(receiver.requests().len(), 1);
    write(&format!("{url}?again"), "batch = 2");
    reload();
    receiver.wait_for(2);
    daemon.terminate();
    let kept = place.home.path().join("webhook_gone_endpoints");
    assert!(!kept.exists(), "it is not gone any more");
}
