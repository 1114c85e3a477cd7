//! `pilot-webhookd test URL`: the real binary, and receivers that are well or not.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use pilot_webhook_core::{Secret, verify};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::support::{Sink, bare, wait};

/// The exit status, standard output and standard error of `test` with these arguments.
fn test(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = wait(bare().arg("test").args(arguments).spawn().unwrap());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What is not accepted ends with status 3, and one line that has all of these words.
#[track_caller]
fn expect_refused(arguments: &[&str], words: &[&str]) -> String {
    let (status, stdout, stderr) = test(arguments);
    assert_eq!(status, Some(3), "{stdout}{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for word in [&["pilot-webhookd: not accepted: "], words].concat() {
        assert!(stderr.contains(word), "{word:?} is not in {stderr}");
    }
    stdout
}

fn file(contents: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(contents).unwrap();
    file
}

/// A server that answers this to one request, or nothing at all. Tells the URL.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/path?token=hidden", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut head = String::new();
        if answer.is_empty() {
            let _ = stream.read_to_end(&mut Vec::new());
            return;
        }
        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
    });
    url
}

#[test]
fn a_receiver_that_is_well_is_told_in_words() {
    let (sink, secret) = (Sink::start_with_secret(b"key"), file(b"key\n"));
    let secret = secret.path().to_str().unwrap();
    let (status, stdout, stderr) = test(&[&sink.url(), "--secret-file", secret, "--node-id", "7"]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""), "{stdout}");
    for words in [
        "http://localhost:",
        ": one event, webhook.test\n",
        "address      127.0.0.1:",
        "header       Content-Type: application/json\n",
        "header       X-Pilot-Signature-256: ",
        "answer       204 No Content, after ",
        "\naccepted\n",
    ] {
        assert!(stdout.contains(words), "{words:?} is not in {stdout}");
    }
    assert!(!stdout.contains("/hook"), "a path is often a secret: {stdout}");
    let event: Value = serde_json::from_str(&sink.received()[0]).unwrap();
    assert_eq!((&event["event"], &event["node_id"]), (&"webhook.test".into(), &7.into()));
}

#[test]
fn as_json_it_has_the_signature_that_was_sent() {
    let (sink, secret) = (Sink::start_with_secret(b"key"), file(b"key"));
    let secret = secret.path().to_str().unwrap();
    let (status, stdout, _) = test(&[&sink.url(), "--secret-file", secret, "--json"]);
    assert_eq!((status, stdout.lines().count()), (Some(0), 1), "{stdout}");
    let told: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&told["accepted"], &told["status"]), (&true.into(), &204.into()));
    assert!(told["advice"].is_null() && told["error"].is_null() && told["certificate"].is_null());
    assert!(told["connected_ms"].as_f64() <= told["took_ms"].as_f64());
    let signature = told["headers"]["X-Pilot-Signature-256"].as_str().unwrap();
    let secrets = [Secret::new(b"key").unwrap()];
    let body = sink.received()[0].clone();
    assert_eq!(verify(Some(signature.as_bytes()), body.as_bytes(), &secrets), Ok(()));
}

#[test]
fn a_certificate_is_shown_trusted_or_not() {
    let sink = Sink::start_tls();
    let ca = sink.ca_file();
    let (status, stdout, _) = test(&[&sink.url(), "--ca-file", ca.path().to_str().unwrap()]);
    assert_eq!(status, Some(0), "{stdout}");
    for words in
        ["TLS          TLS 1.3, after ", "certificate  CN=", "issuer       CN=", "until 4096"]
    {
        assert!(stdout.contains(words), "{words:?} is not in {stdout}");
    }
    assert!(stdout.contains("signature    none: --secret-file signs"), "{stdout}");

    // The system does not trust it, or there are no roots at all.
    let untrusted = Sink::start_tls();
    let other = ca.path().to_str().unwrap();
    let stdout = expect_refused(&[&untrusted.url(), "--ca-file", other], &["TLS", "--ca-file"]);
    assert!(
        stdout.contains("certificate  CN=") && stdout.contains("answer       none"),
        "{stdout}"
    );
    let wrong_name = Sink::start_tls_as(vec!["other.test".to_owned()]);
    let ca = wrong_name.ca_file();
    let ca = ca.path().to_str().unwrap();
    expect_refused(&[&wrong_name.url(), "--ca-file", ca], &["TLS", "host in the URL"]);
}

#[test]
fn each_status_has_its_advice() {
    let unsigned = Sink::start_with_secret(b"key");
    let stdout = expect_refused(&[&unsigned.url()], &["401 Unauthorized", "--secret-file"]);
    assert!(stdout.contains("answer       401 Unauthorized, after "), "{stdout}");
    for (answer, words) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ["404 Not Found", "path"]),
        ("HTTP/1.1 500 Internal Server Error\r\n\r\n", ["500", "look at its log"]),
        ("HTTP/1.1 308 Permanent Redirect\r\nLocation: /x\r\n\r\n", ["308", "not followed"]),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", ["not valid HTTP", "check the port"]),
    ] {
        let stdout = expect_refused(&[&answering(answer)], &words);
        assert!(!stdout.contains("hidden"), "{stdout}");
    }
}

#[test]
fn what_stands_in_the_way_has_its_advice() {
    let refused = Sink::reserve();
    expect_refused(&[&refused.url()], &["refused", "nothing listens there"]);
    let unknown = "http://no-such-host.invalid/";
    expect_refused(&[unknown], &["did not resolve", "DNS"]);
    let silent = answering("");
    let stdout =
        expect_refused(&[&silent, "--http-timeout", "300ms"], &["within 300ms", "--http-timeout"]);
    assert!(stdout.contains("address      127.0.0.1:"), "{stdout}");
    let no_tls = answering("").replace("http://", "https://");
    let words = ["within 300ms", "TLS handshake did not end"];
    let ca = Sink::start_tls().ca_file();
    let ca = ca.path().to_str().unwrap();
    expect_refused(&[&no_tls, "--http-timeout", "300ms", "--ca-file", ca], &words);
}

#[test]
fn what_cannot_be_used_is_a_usage_error() {
    for arguments in [
        &[][..],
        &["ftp://a.test/"],
        &["http://127.0.0.1/", "--deny-private"],
        &["http://127.0.0.1/", "--header", "Host: x"],
        &["http://127.0.0.1/", "--secret-file", "/nowhere/at/all"],
        &["nats://127.0.0.1/pilot"],
    ] {
        let (status, stdout, stderr) = test(arguments);
        assert_eq!((status, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

/// Whatever such a server does with what is no TLS.
#[test]
fn a_server_of_tls_that_is_spoken_to_without_it_is_guessed() {
    let sink = Sink::start_tls();
    let (status, _, stderr) = test(&[&sink.url().replace("https://", "http://")]);
    assert_eq!(status, Some(3), "{stderr}");
    assert!(stderr.contains("the URL begins with https://"), "{stderr}");
}
