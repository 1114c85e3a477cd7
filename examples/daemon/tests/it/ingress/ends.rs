//! How it starts and ends.

use std::net::{TcpListener, TcpStream};

use super::daemon::Daemon;
use super::original::Original;
use crate::support::{self, EVENTS, Sink, daemon};

#[test]
fn what_cannot_work_is_said_at_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let own = "http://localhost:9/";
    for (arguments, status, expected) in [
        (vec!["--listen", "localhost"], 2, "expected a port"),
        (vec!["--listen-secret-file", "/dev/null"], 2, "--listen"),
        (vec!["--listen", "0", "--listen-secret-file", "/dev/null"], 2, "the secret is empty"),
        (vec!["--listen", "0"], 2, "there is no webhook"),
        (vec!["--listen", &port, "--webhook", own], 1, "in use"),
    ] {
        let output = support::bare().arg("run").args(&arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {stderr}");
        assert!(stderr.lines().last().unwrap().contains(expected), "{arguments:?}: {stderr}");
    }
}

/// `pilotctl set-webhook` writes the sidecar's own address to the file that the sidecar reads a URL from, too.
#[test]
fn a_webhook_from_which_events_come_back_is_refused() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let own = format!("http://{free}/");
    let mut command = daemon(&own);
    let output = command.args(["--listen", &free.to_string()]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("they would go round for ever"), "{stderr}");

    // The same over the socket, where the old one is still in force.
    let (sink, place) = (Sink::start(), tempfile::TempDir::new().unwrap());
    let socket = place.path().join("pilot.sock");
    let mut command = daemon(&sink.url());
    let listening = Daemon::start(command.arg("--socket").arg(&socket));
    listening.wait_for_log("taking commands at");
    let mut set = support::bare();
    set.args(["set-webhook", &format!("http://{}/", listening.address), "--socket"]).arg(&socket);
    let output = set.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    listening.wait_for_log("they would go round for ever");
    assert_eq!(Original::start(listening.address).post(r#"{"event":"a"}"#).0, 204);
    sink.wait_for(1);
    listening.stop();
}

#[test]
fn at_a_signal_the_post_under_way_is_finished_and_delivered() {
    let sink = Sink::start();
    // A fifth of it is more than a loaded machine takes for the rest of the body.
    let listening = Daemon::start(daemon(&sink.url()).args(["--drain-timeout", "50s"]));
    let mut original = Original::start(listening.address);
    original
        .write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(original.read().0, 100);
    support::signal(&listening.child, "TERM");
    // From the moment that it takes no more connections.
    while TcpStream::connect(listening.address).is_ok() {
        std::thread::yield_now();
    }
    original.write(r#"{"event":"a"}"#);
    let (status, head, _) = original.read();
    assert_eq!(status, 204);
    assert!(head.contains("connection: close\r\n"), "{head}");
    let (stats, output) = support::end(listening.child);
    assert!(output.status.success());
    assert_eq!((stats["delivered"].as_u64(), sink.received().len()), (Some(1), 1));
}

/// A fifth of the drain's time is for it.
#[test]
fn at_a_signal_a_post_that_does_not_come_is_not_waited_for() {
    let sink = Sink::start();
    let mut command = daemon(&sink.url());
    let listening = Daemon::start(command.args(["--drain-timeout", "500ms"]));
    let mut original = Original::start(listening.address);
    original
        .write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(original.read().0, 100);
    let start = std::time::Instant::now();
    let stats = listening.stop();
    // Far less than the ten seconds that a body may take.
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
    assert_eq!((stats["emitted"].as_u64(), stats["posted"].as_u64()), (Some(0), Some(0)));
}

#[test]
fn with_exit_at_end_it_ends_with_the_events_of_the_file() {
    let sink = Sink::start();
    let mut command = daemon(&sink.url());
    command.args(["--events", EVENTS, "--listen", "0", "--exit-at-end"]);
    let (stats, output) = support::run(&mut command);
    assert!(output.status.success());
    assert_eq!((stats["lines"].as_u64(), stats["delivered"].as_u64()), (Some(54), Some(54)));
}

#[test]
fn it_listens_at_other_addresses_and_warns_of_one_for_all() {
    let sink = Sink::start();
    // Not every machine has IPv6.
    if TcpListener::bind("[::1]:0").is_ok() {
        let listening = Daemon::start_at("[::1]:0", &mut daemon(&sink.url()));
        assert!(listening.address.is_ipv6());
        assert_eq!(Original::start(listening.address).post(r#"{"event":"a"}"#).0, 204);
        assert_eq!(listening.stop()["posted"], 1);
    }
    let listening = Daemon::start_at("0.0.0.0:0", &mut daemon(&sink.url()));
    listening.wait_for_log("whoever reaches that address can post events");
    listening.stop();
}
