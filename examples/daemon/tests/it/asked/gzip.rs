//! Compressed bodies.

use std::fs;
use std::io::Read as _;

use flate2::read::GzDecoder;
use pilot_webhook_core::Secret;

use super::receiver::{Receiver, Request};
use crate::support;

/// The body as it was before it was sent.
fn unpacked(request: &Request) -> String {
    let mut text = String::new();
    match request.all("Content-Encoding")[..] {
        ["gzip"] => _ = GzDecoder::new(&request.body[..]).read_to_string(&mut text).unwrap(),
        _ => text = String::from_utf8(request.body.clone()).unwrap(),
    }
    text
}

#[test]
fn long_bodies_are_compressed_and_signed_as_they_are_sent() {
    compresses(&[]);
}

/// 415 would reject the event.
#[test]
fn a_receiver_that_takes_none_gets_them_as_they_are() {
    sends_as_they_are(&[]);
}

/// With these options, too.
pub(crate) fn compresses(further: &[&str]) {
    let receiver = Receiver::start(|n| if n == 0 { 500 } else { 200 });
    let directory = tempfile::tempdir().unwrap();
    let (file, key) = (directory.path().join("events"), directory.path().join("key"));
    let long = "x".repeat(2_000);
    let lines = [&*long, "short"].map(|data| format!("{{\"topic\":\"a\",\"data\":\"{data}\"}}\n"));
    fs::write(&file, lines.concat()).unwrap();
    fs::write(&key, "hush").unwrap();
    let mut command = support::daemon(&receiver.url());
    command.args(further).arg("--events").arg(&file).arg("--secret-file").arg(&key);
    let (stats, _) = support::run(command.args(["--gzip", "1024", "--retry-backoff", "1ms"]));
    assert_eq!(stats["delivered"], 2);
    let requests = receiver.requests();
    let encodings: Vec<_> =
        requests.iter().map(|request| request.all("Content-Encoding").len()).collect();
    assert_eq!(encodings, [1, 1, 0]);
    for (request, data) in requests.iter().zip([&*long, &long, "short"]) {
        assert!(unpacked(request).contains(data));
        let secret = Secret::new(b"hush").unwrap();
        let signature = secret.sign(&request.body);
        assert_eq!(request.all("X-Pilot-Signature-256"), [signature.as_str()]);
        assert_eq!(request.all("Content-Type"), ["application/json"]);
    }
    assert!(requests[0].body.len() < 200, "{}", requests[0].body.len());
}

/// With these options, too.
pub(crate) fn sends_as_they_are(further: &[&str]) {
    let receiver = Receiver::start(|n| if n == 0 { 415 } else { 200 });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events");
    let line = format!("{{\"topic\":\"a\",\"data\":\"{}\"}}\n", "x".repeat(2_000));
    fs::write(&file, line.repeat(2)).unwrap();
    let mut command = support::daemon(&receiver.url());
    command.args(further).arg("--events").arg(&file).args([
        "--gzip",
        "1",
        "--retry-backoff",
        "1ms",
    ]);
    let (stats, _) = support::run(&mut command);
    assert_eq!((&stats["delivered"], &stats["attempts"]), (&2.into(), &3.into()));
    let requests = receiver.requests();
    let encodings: Vec<_> =
        requests.iter().map(|request| request.all("Content-Encoding").len()).collect();
    assert_eq!(encodings, [1, 0, 0]);
    assert_eq!(unpacked(&requests[0]), unpacked(&requests[1]));
}
