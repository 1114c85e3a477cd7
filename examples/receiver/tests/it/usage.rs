//! How the program ends when it cannot begin.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

/// The status that it ends with, and the line that it says.
fn ends(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pilot-webhook-receiver"));
    let output = command.args(["--listen", "127.0.0.1:0"]).args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_cannot_be_used_is_said_with_its_option_and_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, "whsec_hunter2").unwrap();
    let key = key.to_str().unwrap();
    let nowhere = folder.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    let standard = ["--sign", "standard-webhooks", "--secret-file"];
    for (arguments, option) in [
        (&[&standard[..], &[key]].concat()[..], "--secret-file"),
        (&[&standard[..], &[nowhere]].concat(), "--secret-file"),
        (&["--secret-file", key, "--secret-file", key], "--secret-file"),
        (&["--tls-ca", nowhere, "--tls-name", "\u{e9}"], "--tls-name"),
        (&["--status", "9"], "--status"),
        (&["--sign", "pilot"], "--secret-file"),
    ] {
        let (status, said) = ends(arguments);
        assert_eq!(status, 2, "{arguments:?}: {said}");
        assert!(said.contains(option) && !said.contains("hunter2"), "{arguments:?}: {said}");
    }
    assert!(!fs::exists(nowhere).unwrap());
}

#[test]
fn what_this_machine_does_not_do_is_no_wrong_usage() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pilot-webhook-receiver"));
    let output = command.args(["--listen", &address]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with(&format!("pilot-webhook-receiver: --listen {address}: ")), "{said}");
}
