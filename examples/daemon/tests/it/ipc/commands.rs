//! `set-webhook`, `clear-webhook` and `info`, as scripts call them.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::thread;

use serde_json::Value;

use super::daemon::{Place, finish};
use crate::support::bare;

const URL: &str = "http://127.0.0.1:9/hook";

#[test]
fn the_commands_speak_to_people() {
    let place = Place::new();
    let _daemon = place.daemon(&["--node-id", "7"]);
    let shown = |command: &mut std::process::Command| {
        let (status, stdout, stderr) = finish(command);
        assert_eq!((status, stderr.as_str()), (0, ""));
        stdout
    };
    let set = shown(place.command("set-webhook").arg(URL));
    assert_eq!(set, "webhook set: http://127.0.0.1:9/hook\n");
    let file = place.directory.path().join("url");
    fs::write(&file, format!("{URL}\n")).unwrap();
    assert_eq!(shown(place.command("set-webhook").arg("--webhook-file").arg(&file)), set);
    let info = shown(&mut place.command("info"));
    for line in ["node         7\n", "address      0:0000.0000.0007\n", "breaker      closed\n"] {
        assert!(info.contains(line), "{info}");
    }
    assert!(info.contains("webhook      http://127.0.0.1:9/hook\n"), "{info}");
    assert_eq!(shown(&mut place.command("clear-webhook")), "webhook cleared\n");
    assert!(shown(&mut place.command("info")).contains("webhook      none\n"));
}

#[test]
fn the_commands_speak_to_programs() {
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let json = |command: &mut std::process::Command| -> Value {
        let (status, stdout, _) = finish(command.arg("--json"));
        assert_eq!((status, stdout.lines().count()), (0, 1));
        serde_json::from_str(&stdout).unwrap()
    };
    assert_eq!(json(place.command("set-webhook").arg(URL))["webhook"], URL);
    let mut info = json(&mut place.command("info"));
    assert_eq!(info["webhook"]["url"], URL);
    let mut asked = daemon.info();
    info["uptime_secs"].take();
    asked["uptime_secs"].take();
    assert_eq!(info, asked);
    assert_eq!(json(&mut place.command("clear-webhook"))["webhook"], "");
}

#[test]
fn a_refusal_is_status_1_and_one_line_that_says_why() {
    let place = Place::new();
    let daemon = place.daemon(&["--webhook", URL]);
    let (status, stdout, stderr) =
        finish(place.command("set-webhook").arg("http://169.254.169.254/"));
    assert_eq!((status, stdout.as_str(), stderr.lines().count()), (1, "", 1));
    assert!(stderr.contains("refused") && stderr.contains("link-local"), "{stderr}");
    assert!(stderr.contains(place.socket.to_str().unwrap()), "{stderr}");
    assert_eq!(daemon.info()["webhook"]["url"], URL);
}

#[test]
fn without_a_daemon_it_is_status_1_and_one_line_that_names_the_socket() {
    let place = Place::new();
    let dead = Place::new();
    dead.daemon(&[]).kill();
    for place in [&place, &dead] {
        for mut command in
            [place.command("info"), place.command("clear-webhook"), place.command("set-webhook")]
        {
            if command.get_args().next() == Some("set-webhook".as_ref()) {
                command.arg(URL);
            }
            let (status, stdout, stderr) = finish(&mut command);
            assert_eq!((status, stdout.as_str(), stderr.lines().count()), (1, "", 1));
            assert!(stderr.contains(place.socket.to_str().unwrap()), "{stderr}");
            assert!(stderr.contains("cannot be reached"), "{stderr}");
        }
    }
}

/// Root's `set-webhook` told the URL, with its token, to whoever had taken the path in `/tmp`.
#[test]
fn another_users_daemon_is_not_told_the_url() {
    let place = Place::new();
    fs::set_permissions(place.directory.path(), Permissions::from_mode(0o1777)).unwrap();
    let mut command = place.command("run");
    // Only root may become somebody else.
    let Ok(mut child) = command.env("PILOT_HOME", "/nowhere/at/all").uid(1).gid(1).spawn() else {
        return;
    };
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("taking commands at")));
    let (status, _, stderr) = finish(place.command("set-webhook").arg(URL));
    assert_eq!((status, stderr.lines().count()), (1, 1), "{stderr}");
    assert!(stderr.contains("belongs to another user (1)"), "{stderr}");
    let (status, stdout, stderr) = finish(&mut place.command("info"));
    assert_eq!(status, 0, "{stderr}");
    assert!(stdout.contains("webhook      none\n"), "{stdout}");
    crate::support::signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_no_daemon_is_said_to_be_none() {
    for (answer, expected) in [
        (&b""[..], "closed the connection without an answer"),
        (b"\0\0\0\x03\x0e{", "broke off"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "broke off"),
        (b"\0\0\0\x03\x0e{]", "does not speak"),
        (b"\0\0\0\x03\x1c{}", "does not speak"),
        // Nothing on the terminal but text.
        (b"\0\0\0\x0a\x0a\0\x01\x1b[2J\nno", "refused:  [2J no"),
    ] {
        let place = Place::new();
        let listener = UnixListener::bind(&place.socket).unwrap();
        let impostor = thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 5]).unwrap();
            stream.write_all(answer).unwrap();
        });
        let (status, _, stderr) = finish(&mut place.command("info"));
        impostor.join().unwrap();
        assert_eq!((status, stderr.lines().count()), (1, 1), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn wrong_usage_is_status_2_and_one_line() {
    for arguments in [
        &["set-webhook"][..],
        &["set-webhook", ""],
        &["set-webhook", URL, "more"],
        &["set-webhook", URL, "--webhook-file", "url"],
        &["clear-webhook", URL],
        &["info", "--what"],
        &["info", "--socket"],
    ] {
        let (status, stdout, stderr) = finish(bare().args(arguments));
        assert_eq!((status, stdout.as_str()), (2, ""), "{arguments:?}");
        assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    }
}
