//! With a secret only signed POSTs are taken.

use std::fs;

use super::daemon::Daemon;
use super::original::Original;
use crate::support::{self, Sink, daemon};

const EVENT: &str = r#"{"event":"e","data":{"password":"hunter2"}}"#;

#[test]
fn only_what_is_signed_is_taken_and_a_new_secret_counts_after_hup() {
    let sink = Sink::start();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "hush\n").unwrap();
    let mut command = daemon(&sink.url());
    command.arg("--listen-secret-file").arg(file.path());
    let listening = Daemon::start(&mut command);
    let address = listening.address;
    assert_eq!(Original::start_with_secret(address, b"hush").post(EVENT).0, 204);
    let (status, head, reason) = Original::start(address).post(EVENT);
    assert_eq!((status, reason.as_str()), (401, "the header X-Pilot-Signature-256 is missing\n"));
    assert!(head.contains("\r\nwww-authenticate: "), "{head}");
    let line = listening.wait_for_log("a request was answered 401");
    assert!(!line.contains("hunter2") && !line.contains("hush"), "{line}");

    fs::write(file.path(), "another").unwrap();
    support::signal(&listening.child, "HUP");
    listening.wait_for_log("the secret of posts was read again");
    assert_eq!(Original::start_with_secret(address, b"hush").post(EVENT).0, 401);
    assert_eq!(Original::start_with_secret(address, b"another").post(EVENT).0, 204);

    // The old one counts when there is no new one.
    fs::write(file.path(), "").unwrap();
    support::signal(&listening.child, "HUP");
    listening.wait_for_log("the secret of posts is still the old one");
    assert_eq!(Original::start_with_secret(address, b"another").post(EVENT).0, 204);
    let stats = listening.stop();
    assert_eq!((stats["delivered"].as_u64(), stats["bad_requests"].as_u64()), (Some(3), Some(2)));
}
