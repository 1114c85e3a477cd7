//! Signatures of Standard Webhooks, by keys in files.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use pilot_webhook_core::Secret;
use pilot_webhook_core::standard::VerifyingKey;
use pilot_webhook_receiver::Check;
use tempfile::TempDir;

use crate::support::{self, EVENTS, Sink, daemon, expect_all_in_order, run};

const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TWO: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The halves of a pair.
const SECRET_HALF: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const PUBLIC_HALF: &str = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// A file for each of the contents.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The options that name them.
    fn options(&self, contents: &[&str]) -> Vec<String> {
        let path = |index: usize| -> PathBuf { self.0.path().join(index.to_string()) };
        let option = |(index, content): (usize, &&str)| {
            let path = path(index);
            fs::write(&path, content).unwrap();
            private(&path);
            ["--secret-file".to_owned(), path.display().to_string()]
        };
        contents.iter().enumerate().flat_map(option).collect()
    }
}

fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn check(secret: Option<&str>, keys: &[&str]) -> Check {
    let secret = secret.and_then(|secret| Secret::new(secret.as_bytes()));
    let keys = keys.iter().map(|key| VerifyingKey::parse(key).unwrap()).collect();
    Check { secret, keys }
}

/// All events arrive at a receiver that verifies them so.
#[track_caller]
fn expect_signed(sign: &str, contents: &[&str], check: Check) {
    let (files, sink) = (Files::new(), Sink::start_with(check));
    let mut command = daemon(&sink.url());
    command.args(["--events", EVENTS, "--sign", sign]).args(files.options(contents));
    let (_, output) = run(&mut command);
    expect_silence(&output, contents);
    assert!(output.status.success());
    expect_all_in_order(&sink);
}

/// No secret is in what it says.
#[track_caller]
fn expect_silence(output: &Output, secrets: &[&str]) {
    for said in [&output.stdout, &output.stderr] {
        let said = String::from_utf8_lossy(said);
        let words = secrets.iter().flat_map(|secret| secret.split_whitespace());
        // What is behind the prefix, or all of it.
        for word in words.map(|word| word.split_once('_').map_or(word, |(_, key)| key)) {
            assert!(word.is_empty() || !said.contains(word), "{said}");
        }
    }
}

#[test]
fn every_key_signs() {
    for key in [ONE, TWO] {
        expect_signed("standard-webhooks", &[ONE, TWO], check(None, &[key]));
        expect_signed("standard-webhooks", &[&format!("{ONE}\n{TWO}\n")], check(None, &[key]));
    }
    expect_signed("standard-webhooks", &[SECRET_HALF, ONE], check(None, &[PUBLIC_HALF]));
}

#[test]
fn both_kinds_sign_with_the_secrets_that_are_theirs() {
    expect_signed("pilot,standard-webhooks", &["hunter2", ONE], check(Some("hunter2"), &[ONE]));
    expect_signed("standard-webhooks,pilot", &[ONE], check(Some(ONE), &[ONE]));
}

#[test]
fn without_a_word_pilot_signs_with_whatever_is_in_the_file() {
    let (files, sink) = (Files::new(), Sink::start_with_secret(ONE.as_bytes()));
    let (stats, _) =
        run(daemon(&sink.url()).args(["--events", EVENTS]).args(files.options(&[ONE])));
    assert_eq!(stats["delivered"], 54);
}

#[test]
fn another_key_is_refused() {
    let (files, sink) = (Files::new(), Sink::start_with(check(None, &[TWO])));
    let mut command = daemon(&sink.url());
    command.args(["--events", EVENTS, "--sign", "standard-webhooks"]);
    let (stats, _) = run(command.args(files.options(&[ONE])));
    assert_eq!(stats["rejected"], 54);
}

#[test]
fn what_is_no_key_is_wrong_usage_and_not_shown() {
    let four = format!("{ONE}\n{TWO} {SECRET_HALF} whsec_{}", "AAAA".repeat(8));
    for (sign, contents, expected) in [
        ("standard-webhooks", &["hunter2hunter2"][..], "0: the key does not begin with whsec_"),
        ("standard-webhooks", &[ONE, "whsec_aHVudGVyMg=="], "1: the key does not have 24 to 64"),
        ("standard-webhooks", &["whsec_hunter2hunter2hunter2!"], "0: the key is not base64"),
        ("standard-webhooks", &["whsk_nWGxne/9WmC6hEr0kuwsxA=="], "0: the key does not have"),
        ("standard-webhooks", &[PUBLIC_HALF], "0: the key does not begin with whsec_"),
        ("standard-webhooks", &[&four], "4 keys, and 3 may sign"),
        ("standard-webhooks", &["\n"], "0: the secret is empty"),
        ("pilot", &["hunter2", ONE], "several secrets"),
        ("pilot,standard-webhooks", &["hunter2hunter2"], "0: the key does not begin with whsec_"),
        ("pilot,standard-webhooks", &[ONE, "hunter2hunter2"], "1: the key does not begin"),
        ("standard", &[ONE], "'standard' for '--sign"),
        ("standard-webhooks", &[], "--secret-file"),
    ] {
        let files = Files::new();
        let mut command = support::bare();
        command.args(["run", "--webhook", "http://127.0.0.1:9/", "--sign", sign]);
        let output = command.args(files.options(contents)).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{contents:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{contents:?}: {stderr}");
        assert!(stderr.contains(expected), "{contents:?}: {stderr}");
        expect_silence(&output, contents);
    }
}
