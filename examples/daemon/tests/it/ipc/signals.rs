//! Signals to a running daemon.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use pilot_webhook_core::standard::VerifyingKey;
use pilot_webhook_receiver::Check;

use super::daemon::Place;
use crate::support::{self, Sink, signal};

/// Each but TERM and INT killed it at once: without a drain, without counters, the socket left behind.
#[test]
fn no_signal_ends_it_by_accident_and_three_end_it_well() {
    for end in ["TERM", "INT", "QUIT"] {
        let place = Place::new();
        let sink = Sink::start();
        let mut daemon = place.daemon(&["--events", "-", "--webhook", &sink.url()]);
        for harmless in ["HUP", "USR1", "USR2", "ALRM"] {
            daemon.signal(harmless);
        }
        daemon.event("first");
        sink.wait_for(1);
        daemon.signal(end);
        assert_eq!(daemon.end()["delivered"], 1);
        assert!(place.names().is_empty());
    }
}

#[test]
fn at_hang_up_the_secret_is_read_again() {
    let place = Place::new();
    let sink = Sink::start_with_secret(b"new");
    let secret = place.directory.path().join("secret");
    fs::write(&secret, "old\n").unwrap();
    let secret_file = secret.to_str().unwrap();
    let arguments = ["--events", "-", "--webhook", &sink.url(), "--secret-file", secret_file];
    let mut daemon = place.daemon(&arguments);
    daemon.event("refused");
    daemon.wait_for_log("rejected");
    fs::write(&secret, "new\n").unwrap();
    daemon.signal("HUP");
    daemon.wait_for_log("the secret was read again");
    daemon.event("taken");
    sink.wait_for(1);
    for unusable in ["", "a pipe"] {
        fs::remove_file(&secret).unwrap();
        match unusable {
            "" => fs::write(&secret, "\n").unwrap(),
            _ => make_pipe(&secret),
        }
        daemon.signal("HUP");
        daemon.wait_for_log("the secret is still the old one");
    }
    daemon.event("taken, too");
    sink.wait_for(2);
    let stats = daemon.terminate();
    assert_eq!((stats["delivered"].as_u64(), stats["rejected"].as_u64()), (Some(2), Some(1)));
}

/// A key is added, and the old one retired, while events are sent.
#[test]
fn at_hang_up_the_keys_of_standard_webhooks_are_read_again() {
    const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let place = Place::new();
    let keys = vec![VerifyingKey::parse(NEW).unwrap()];
    let sink = Sink::start_with(Check { secret: None, keys });
    let file = place.directory.path().join("keys");
    fs::write(&file, OLD).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let name = file.to_str().unwrap();
    let url = sink.url();
    let arguments = ["--sign", "standard-webhooks", "--secret-file", name, "--webhook", &url];
    let mut daemon = place.daemon(&[&arguments[..], &["--events", "-"]].concat());
    daemon.event("refused");
    daemon.wait_for_log("rejected");
    for (content, told) in [
        (format!("{OLD}\n{NEW}\n"), "the secret was read again"),
        (NEW.to_owned(), "every user of this machine can read this secret"),
        ("whsec_".to_owned(), "the secret is still the old one"),
    ] {
        fs::write(&file, &content).unwrap();
        daemon.signal("HUP");
        let line = daemon.wait_for_log(told);
        assert!(!line.contains("whsec_A") && !line.contains("whsec_M"), "{line}");
        let count = sink.received().len();
        daemon.event("taken");
        sink.wait_for(count + 1);
    }
    let stats = daemon.terminate();
    assert_eq!((stats["delivered"].as_u64(), stats["rejected"].as_u64()), (Some(3), Some(1)));
}

#[test]
fn at_hang_up_the_ca_file_is_read_again() {
    let place = Place::new();
    let (sink, other) = (Sink::start_tls(), Sink::start_tls());
    let ca = other.ca_file();
    let ca_file = ca.path().to_str().unwrap();
    let arguments = ["--events", "-", "--webhook", &sink.url(), "--ca-file", ca_file];
    let mut daemon = place.daemon(&arguments);
    fs::copy(sink.ca_file().path(), ca.path()).unwrap();
    daemon.signal("HUP");
    daemon.wait_for_log("the trusted certificates were read again");
    fs::write(ca.path(), "nothing").unwrap();
    daemon.signal("HUP");
    daemon.wait_for_log("the trusted certificates are still the old ones");
    daemon.event("taken");
    sink.wait_for(1);
    let stats = daemon.terminate();
    assert_eq!((stats["delivered"].as_u64(), stats["attempts"].as_u64()), (Some(1), Some(1)));
}

#[test]
fn at_user_1_the_counters_are_logged() {
    let place = Place::new();
    let daemon = place.daemon(&[]);
    daemon.signal("USR1");
    daemon.wait_for_log(r#"info: {"emitted":0,"#);
    daemon.terminate();
}

fn make_pipe(path: &std::path::Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Signals are listened for before that.
#[test]
fn a_signal_ends_it_while_it_waits_for_a_secret() {
    let place = Place::new();
    let pipe = place.directory.path().join("secret");
    make_pipe(&pipe);
    let child = place.command("run").arg("--secret-file").arg(&pipe).spawn().unwrap();
    // To open it waits for the reader.
    let _nothing = File::options().write(true).open(&pipe).unwrap();
    signal(&child, "TERM");
    assert!(support::wait(child).status.success());
}
