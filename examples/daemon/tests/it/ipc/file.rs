//! The socket's file.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

use super::daemon::{INFO, INFO_OK, Place, finish};
use crate::support::Sink;

#[test]
fn the_file_is_this_users_alone_and_goes_with_the_daemon() {
    for signal in ["TERM", "INT"] {
        let place = Place::new();
        let daemon = place.daemon(&[]);
        let metadata = fs::symlink_metadata(&place.socket).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
        assert_eq!(place.names(), ["pilot.sock"]);
        daemon.signal(signal);
        daemon.end();
        assert!(place.names().is_empty());
    }
}

#[test]
fn what_a_killed_daemon_left_is_replaced() {
    let place = Place::new();
    place.daemon(&[]).kill();
    assert_eq!(place.names(), ["pilot.sock"]);
    let daemon = place.daemon(&[]);
    assert_eq!(daemon.client().ask(INFO, b"").0, INFO_OK);
    assert_eq!(place.names(), ["pilot.sock"]);
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    let first = place.daemon(&["--node-id", "1"]);
    let mut client = first.client();
    let (status, stdout, stderr) = finish(place.command("run").args(["--node-id", "2"]));
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert!(stderr.contains(place.socket.to_str().unwrap()), "{stderr}");
    assert!(stderr.contains("listens there already"), "{stderr}");
    assert_eq!(client.ask(INFO, b"").0, INFO_OK);
    assert_eq!(first.info()["node_id"], 1);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let place = Place::new();
    fs::write(&place.socket, "mine").unwrap();
    let (status, _, stderr) = finish(&mut place.command("run"));
    assert_eq!(status, 1);
    assert!(stderr.contains("no socket"), "{stderr}");
    assert_eq!(fs::read_to_string(&place.socket).unwrap(), "mine");
    assert_eq!(place.names(), ["pilot.sock"]);
}

/// Both ends met in `/tmp`.
#[test]
fn the_default_is_in_the_users_own_directory() {
    let place = Place::new();
    let daemon = place.daemon(&["--node-id", "9"]);
    for arguments in [&["info", "--json"][..], &["info", "--json", "--socket", "default"]] {
        let mut command = crate::support::bare();
        command.args(arguments).env("XDG_RUNTIME_DIR", place.directory.path());
        let (status, stdout, stderr) = finish(&mut command);
        assert_eq!(status, 0, "{stderr}");
        assert!(stdout.contains("\"node_id\":9"), "{stdout}");
    }
    daemon.terminate();
}

#[test]
fn by_choice_the_daemon_ends_when_its_socket_is_taken_away() {
    let place = Place::new();
    let sink = Sink::start();
    let url = sink.url();
    let arguments = ["--events", "-", "--webhook", &url, "--on-socket-lost", "end"];
    let mut daemon = place.daemon(&arguments);
    daemon.event("first");
    sink.wait_for(1);
    fs::rename(&place.socket, place.directory.path().join("elsewhere")).unwrap();
    daemon.wait_for_log("pilot-webhookd: the socket was taken away");
}
