//! POSTs that are signed by Standard Webhooks: those of another daemon, and some that are not right.

use std::fs;

use tempfile::TempDir;

use super::daemon::Daemon;
use super::original::Original;
use crate::support::{self, EVENTS, Sink, daemon};

const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TWO: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The halves of a pair.
const SECRET_HALF: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const PUBLIC_HALF: &str = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const STANDARD: &str = "standard-webhooks";
const BOTH: &str = "pilot,standard-webhooks";

/// `option FILE` for each of the contents.
fn files(folder: &TempDir, option: &str, contents: &[&str]) -> Vec<String> {
    let write = |(index, content): (usize, &&str)| {
        let path = folder.path().join(format!("{option}{index}"));
        fs::write(&path, content).unwrap();
        [option.to_owned(), path.display().to_string()]
    };
    contents.iter().enumerate().flat_map(write).collect()
}

/// A daemon that takes what is signed so.
fn listening(folder: &TempDir, sink: &Sink, sign: &str, keys: &[&str]) -> Daemon {
    let mut command = daemon(&sink.url());
    command.args(["--listen-sign", sign]).args(files(folder, "--listen-secret-file", keys));
    Daemon::start(&mut command)
}

/// How many captured events a daemon that signs so delivers, and rejects.
fn deliver(to: &Daemon, folder: &TempDir, sign: &str, keys: &[&str], further: &[&str]) -> [u64; 2] {
    let mut command = daemon(&format!("http://{}/", to.address));
    command.args(["--events", EVENTS, "--sign", sign]).args(files(folder, "--secret-file", keys));
    let (stats, _) = support::run(command.args(further));
    ["delivered", "rejected"].map(|fate| stats[fate].as_u64().unwrap())
}

#[test]
fn what_another_daemon_has_signed_is_taken() {
    for (sign, keys, verified) in [
        (STANDARD, &[ONE][..], &[ONE][..]),
        // While the key is replaced on one side, and then on the other.
        (STANDARD, &[ONE, TWO], &[TWO]),
        (STANDARD, &[TWO], &["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", TWO]),
        (STANDARD, &[SECRET_HALF], &[PUBLIC_HALF]),
        (BOTH, &["hush", SECRET_HALF], &["hush", PUBLIC_HALF]),
    ] {
        let (folder, sink) = (TempDir::new().unwrap(), Sink::start());
        let to = listening(&folder, &sink, sign, verified);
        assert_eq!(deliver(&to, &folder, sign, keys, &[]), [54, 0], "{sign} {keys:?}");
        sink.wait_for(54);
        support::expect_all_in_order(&sink);
        // Another key, and none.
        let other = if sign == BOTH {
            &["hush", TWO][..]
        } else {
            &["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"]
        };
        assert_eq!(deliver(&to, &folder, sign, other, &[]), [0, 54]);
        let line = to.wait_for_log("a request was answered 401");
        assert!(!line.contains("whsec_") && !line.contains("hush"), "{line}");
        assert_eq!(to.stop()["delivered"], 54);
    }
}

#[test]
fn a_batch_is_signed_as_a_whole() {
    let (folder, sink) = (TempDir::new().unwrap(), Sink::start());
    let to = listening(&folder, &sink, STANDARD, &[ONE]);
    assert_eq!(deliver(&to, &folder, STANDARD, &[ONE], &["--batch", "20"]), [54, 0]);
    assert_eq!(to.stop()["delivered"], 54);
}

/// The signature is that of the specification's example, which is of 2021.
#[test]
fn what_is_not_right_is_answered_401_with_the_reason() {
    let (folder, sink) = (TempDir::new().unwrap(), Sink::start());
    let to = listening(&folder, &sink, STANDARD, &[ONE]);
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let now = jiff::Timestamp::now().as_second();
    let (soon, late) = ((now + 400).to_string(), (now - 400).to_string());
    let now = now.to_string();
    for (headers, reason) in [
        (&[][..], "the header webhook-id is missing\n"),
        (
            &[("webhook-id", "a"), ("webhook-timestamp", &now)],
            "the header webhook-signature is missing\n",
        ),
        (
            &[("webhook-timestamp", "1614265330"), ("webhook-signature", signature)],
            "the message is too old\n",
        ),
        (
            &[("webhook-timestamp", &late), ("webhook-signature", signature)],
            "the message is too old\n",
        ),
        (
            &[("webhook-timestamp", &soon), ("webhook-signature", signature)],
            "the message is from the future\n",
        ),
        (
            &[("webhook-timestamp", "now"), ("webhook-signature", signature)],
            "the header webhook-timestamp is malformed\n",
        ),
        (
            &[("webhook-timestamp", &now), ("webhook-signature", signature)],
            "the signature is wrong\n",
        ),
        (
            &[("webhook-timestamp", &now), ("webhook-signature", "v1a,AAAA")],
            "no signature is of a kind that a key is for\n",
        ),
    ] {
        let mut lines: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        if headers.len() == 2 && headers[0].0 != "webhook-id" {
            lines += "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\n";
        }
        let mut sender = Original::start(to.address);
        let body = r#"{"test": 2432232314}"#;
        sender.write(&format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{lines}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let (status, head, said) = sender.read();
        assert_eq!((status, said.as_str()), (401, reason), "{headers:?}");
        assert!(head.contains("\r\nwww-authenticate: webhook-signature\r\n"), "{head}");
    }
    to.stop();
}

#[test]
fn keys_are_read_again_and_wrong_ones_are_wrong_usage() {
    let (folder, sink) = (TempDir::new().unwrap(), Sink::start());
    let to = listening(&folder, &sink, STANDARD, &[ONE]);
    files(&folder, "--listen-secret-file", &[TWO]);
    support::signal(&to.child, "HUP");
    to.wait_for_log("the secret of posts was read again");
    assert_eq!(deliver(&to, &folder, STANDARD, &[ONE], &[]), [0, 54]);
    assert_eq!(deliver(&to, &folder, STANDARD, &[TWO], &[]), [54, 0]);
    // The old ones count when the new ones are none.
    files(&folder, "--listen-secret-file", &["hush"]);
    support::signal(&to.child, "HUP");
    to.wait_for_log("the secret of posts is still the old one");
    to.stop();

    for (sign, contents, words) in [
        (STANDARD, &["whsec_hunter2"][..], "--listen-secret-file: "),
        (STANDARD, &[SECRET_HALF], "does not begin with whsec_"),
        ("pilot", &["a", "b"], "--listen-secret-file: several secrets"),
        (STANDARD, &[], "--listen-secret-file"),
    ] {
        let mut command = daemon(&sink.url());
        command.args(["--listen", "0", "--listen-sign", sign]);
        let output =
            command.args(files(&folder, "--listen-secret-file", contents)).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(words) && !stderr.contains("hunter2"), "{stderr}");
    }

    // In a file, with its line.
    fs::write(folder.path().join("bad"), "whsec_hunter2").unwrap();
    let config = folder.path().join("pilot.toml");
    let text = "webhook = \"http://127.0.0.1:9/\"\nlisten = 0\nlisten_secret_file = \"bad\"\nlisten_sign = \"standard-webhooks\"\n";
    fs::write(&config, text).unwrap();
    let output = support::bare().args(["check", "--config"]).arg(&config).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(":3: listen_secret_file: ") && !stderr.contains("hunter2"), "{stderr}");
}
