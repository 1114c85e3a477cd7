//! Hostile configurations, and what is said of them.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::load::{Config, Source};
use crate::Failure;

/// Two endpoints and defaults, as a newcomer writes it.
pub(super) const GOOD: &str = r#"
listen = 9911
retry_backoff = "2s"

[[endpoint]]
name = "all"
url = "http://127.0.0.1:1/"

[[endpoint]]
name = "connections"
url = "http://127.0.0.1:2/"
topics = ["conn.*"]
exclude = "conn.fin"
nodes = [1, 2]
retry_backoff = "3s"
deny_private = false
"#;

pub(super) fn load_with(directory: &Path, text: &str, options: &[&str]) -> Result<Config, Failure> {
    let path = directory.join("pilot.toml");
    let path = path.to_str().unwrap();
    let begin = ["pilot-webhookd", "run", "--config", path];
    let argv: Vec<_> = begin.iter().chain(options).map(Into::into).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _within = runtime.enter();
    Source::named(&argv).unwrap().of_text(text)
}

pub(super) fn load(text: &str) -> Result<Config, Failure> {
    load_with(TempDir::new().unwrap().path(), text, &[])
}

/// Loads a configuration for which all files that it names are there.
pub(super) fn loads_with_its_files(text: &str) {
    let directory = TempDir::new().unwrap();
    let text = text.replace("/run/credentials/pilot-webhookd.service/", "");
    let text = text.replace("/var/lib/pilot-webhookd/", "");
    for line in text.lines().map(|line| line.trim_start_matches("# ")) {
        let Some((key, value)) = line.split_once(" = ") else { continue };
        for name in value.split('"').skip(1).step_by(2) {
            let content = match key {
                "url_file" | "webhook_file" => "https://hooks.example.org/token",
                "ca_file" => continue,
                key if key.ends_with("_file") && !name.starts_with('/') => "user:password",
                _ => continue,
            };
            fs::write(directory.path().join(name), content).unwrap();
        }
    }
    if let Err(failure) = load_with(directory.path(), &text, &[]) {
        panic!("{}", failure.message);
    }
}

/// What is wrong: `LINE: key: what`.
pub(super) fn errors(text: &str) -> Vec<String> {
    let failure = load(text).err().unwrap_or_else(|| panic!("it is good: {text}"));
    assert_eq!(failure.status, 2);
    let lines: Vec<_> = failure.message.lines().collect();
    let (last, lines) = lines.split_last().unwrap();
    let last = last.split_once(".toml: ").unwrap().1;
    assert!(last.starts_with(&format!("{} error", lines.len())), "{last}");
    lines.iter().map(|line| line.split_once(".toml:").unwrap().1.to_owned()).collect()
}

pub(super) fn error(text: &str) -> String {
    let errors = errors(text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0].clone()
}

/// An endpoint with these lines.
pub(super) fn endpoint(lines: &str) -> String {
    format!("[[endpoint]]\nname = \"a\"\nurl = \"http://127.0.0.1:1/\"\n{lines}")
}

#[test]
fn keys_of_an_endpoint_count_before_those_of_the_top() {
    let config = load(GOOD).ok().unwrap();
    let run = config.command.run().unwrap();
    assert_eq!(run.listen.unwrap().to_string(), "127.0.0.1:9911");
    let [all, connections] = &config.endpoints[..] else { panic!("two endpoints") };
    assert_eq!(all.args.name, "all");
    assert_eq!(all.url, "http://127.0.0.1:1/");
    assert_eq!(all.args.delivery.retry_backoff.as_secs(), 2);
    assert!(all.args.topics.is_empty());
    assert_eq!(connections.args.delivery.retry_backoff.as_secs(), 3);
    assert_eq!(connections.args.topics, ["conn.*"]);
    assert_eq!(connections.args.exclude, ["conn.fin"]);
    assert_eq!(connections.args.nodes, [1, 2]);
}

#[test]
fn many_endpoints_have_shorter_queues_unless_it_is_said_otherwise() {
    let capacities = |endpoints: usize, top: &str| {
        let tables = (0..endpoints)
            .map(|n| format!("[[endpoint]]\nname = \"e{n}\"\nurl = \"http://127.0.0.1:9/{n}\"\n"));
        let own =
            "[[endpoint]]\nname = \"own\"\nurl = \"http://127.0.0.1:9/\"\nqueue_capacity = 9\n";
        let config = load(&format!("{top}{}{own}", tables.collect::<String>())).unwrap();
        let all = config.endpoints.iter().map(|it| it.args.delivery.queue_capacity);
        let mut all: Vec<_> = all.collect();
        assert_eq!(all.pop(), Some(9));
        all.dedup();
        all
    };
    assert_eq!(capacities(63, ""), [1_024]);
    assert_eq!(capacities(127, ""), [512]);
    assert_eq!(capacities(1_999, ""), [64]);
    assert_eq!(capacities(1_999, "queue_capacity = 70\n"), [70]);
    assert_eq!(capacities(1_999, "batch = 50\nmax_in_flight = 2\n"), [200]);
    assert_eq!(capacities(1_999, "batch = 60000\nmax_in_flight = 64\n"), [1_024]);
}

#[test]
fn the_command_line_counts_before_the_top() {
    let directory = TempDir::new().unwrap();
    let options = ["--retry-backoff", "7s", "--listen=9912", "--deny-private"];
    let config = load_with(directory.path(), &GOOD.replace("127.0.0.1:1/", "192.0.2.1/"), &options);
    // Of a documentation network.
    assert!(config.err().unwrap().message.contains(":7: url: "));
    let config = load_with(directory.path(), GOOD, &options[..3]).ok().unwrap();
    assert_eq!(config.command.run().unwrap().listen.unwrap().port(), 9912);
    assert_eq!(config.endpoints[0].args.delivery.retry_backoff.as_secs(), 7);
    assert_eq!(config.endpoints[1].args.delivery.retry_backoff.as_secs(), 3);
}

#[test]
fn the_command_line_counts_before_a_key_that_it_excludes() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("url"), "http://127.0.0.1:1/of-file").unwrap();
    let text = "webhook_file = \"url\"\nevents = \"-\"\n";
    let config = load_with(directory.path(), text, &[]).ok().unwrap();
    assert_eq!(config.endpoints[0].url, "http://127.0.0.1:1/of-file");
    assert_eq!(config.command.run().unwrap().events.as_deref(), Some(Path::new("-")));
    let config = load_with(directory.path(), text, &["--webhook", "http://127.0.0.1:2/"]);
    assert_eq!(config.ok().unwrap().endpoints[0].url, "http://127.0.0.1:2/");
}

#[test]
fn relative_paths_begin_at_the_file() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("key"), "secret").unwrap();
    fs::write(directory.path().join("e"), "").unwrap();
    let text = endpoint("secret_file = \"key\"\n");
    let config = load_with(directory.path(), &format!("events = \"e\"\n{text}"), &[]).ok().unwrap();
    let files = &config.endpoints[0].args.delivery.endpoint.secret_file;
    assert_eq!(files[..], [directory.path().join("key")]);
    assert_eq!(config.command.run().unwrap().events, Some(directory.path().join("e")));
}

#[test]
fn without_tables_the_top_is_the_endpoint() {
    let config = load("webhook = \"http://127.0.0.1:1/\"\nbatch = 7\n").ok().unwrap();
    let [pilot] = &config.endpoints[..] else { panic!("one endpoint") };
    assert_eq!((&*pilot.args.name, &*pilot.url), ("pilot", "http://127.0.0.1:1/"));
    assert_eq!(pilot.args.delivery.batch, 7);
    let config = load(&format!("webhook = \"http://127.0.0.1:3/\"\n{GOOD}")).ok().unwrap();
    let names: Vec<_> = config.endpoints.iter().map(|it| &*it.args.name).collect();
    assert_eq!(names, ["all", "connections", "pilot"]);
}

#[test]
fn what_was_meant_is_suggested() {
    for (text, expected) in [
        (
            "block-when-full = true",
            "1: block-when-full: there is no such key; did you mean block_when_full?",
        ),
        ("Listen = 1", "1: Listen: there is no such key; did you mean listen?"),
        ("zzz = 1", "1: zzz: there is no such key (docs/config.md has all)"),
        ("config = \"x\"", "1: config: there is no such key (docs/config.md has all)"),
        ("\"\" = 1", "1: there is no such key (docs/config.md has all)"),
        ("\"a=b --c\" = 1", "1: a=b --c: there is no such key (docs/config.md has all)"),
        ("url = \"http://h/\"", "1: url: not here; it goes into an [[endpoint]]"),
        (
            "[endpoint]\nname = \"a\"",
            "1: endpoint: there may be several: write [[endpoint]], with two brackets",
        ),
        (
            "endpoint.name = \"a\"",
            "1: endpoint: there may be several: write [[endpoint]], with two brackets",
        ),
        ("endpoint = \"a\"", "1: endpoint: it is a table: write [[endpoint]], and its keys below"),
        ("endpoint = [1]", "1: endpoint: it is a table: write [[endpoint]], and its keys below"),
        (
            "[[endpoints]]\nname = \"a\"",
            "1: endpoints: there is no such key; did you mean [[endpoint]]?",
        ),
        ("[zzz]\nx = 1", "1: zzz: there is no such key (docs/config.md has all)"),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
    let listen = error(&endpoint("listen = 1"));
    assert_eq!(
        listen,
        "4: listen: not here; it goes to the top of the file, before the first [[endpoint]]"
    );
    let nested = error(&endpoint("[endpoint.retry_backoff]\nx = 1"));
    assert_eq!(nested, "4: retry_backoff: expected text or a whole number, and found a table");
}

#[test]
fn values_have_the_types_of_the_options() {
    for (line, expected) in [
        (
            "retry_backoff = 5",
            "retry_backoff: \"5\": expected a time such as 5s or 1h30m, in us, ms, s, m or h (a day is 24h)",
        ),
        (
            "retry_backoff = \"1d\"",
            "retry_backoff: \"1d\": expected a time such as 5s or 1h30m, in us",
        ),
        (
            "retry_schedule = \"1d\"",
            "retry_schedule: \"1d\": expected 1 to 16 times of up to 49 days (1176h)",
        ),
        (
            "retry_backoff = 5.0",
            "retry_backoff: expected text or a whole number, and found a number with a point",
        ),
        (
            "retry_backoff = 2026-01-01",
            "retry_backoff: expected text or a whole number, and found a date",
        ),
        (
            "retry_backoff = [\"1s\", \"2s\"]",
            "retry_backoff: \"1s,2s\": expected a time such as 5s or 1h30m",
        ),
        (
            "retry_backoff = [[\"1s\"]]",
            "retry_backoff: expected text or a whole number, and found a list",
        ),
        ("deny_private = \"yes\"", "deny_private: expected true or false"),
        ("deny_private = [true]", "deny_private: expected true or false"),
        ("batch = -1", "batch: \"-1\": expected a number from 1 to 65535"),
        (
            "batch = 0x10",
            "batch: expected text or a whole number, and found a number that is not decimal",
        ),
        (
            "batch = 99999999999999999999999",
            "batch: \"99999999999999999999999\": the number is too large",
        ),
        ("batch = \"\"", "batch: \"\": expected a whole number, without a unit"),
        ("topics = []", "topics: the list is empty; leave the key out for its default"),
        ("nodes = [\"x\"]", "nodes: \"x\": expected a whole number, without a unit"),
        ("success = \"abc\\nd\"", "success: \"abcd\": "),
        ("on_full = \"--help\"", "on_full: \"--help\" is none of block, drop-newest, drop-oldest"),
    ] {
        let error = error(&endpoint(line));
        assert!(error.starts_with(&format!("4: {expected}")), "{line}: {error}");
    }
    // A list is one option several times, or one with several values.
    load(&endpoint(
        "retry_schedule = [\"1s\", \"2s\"]\nheader = [\"A: 1\", \"B: 2, 3\"]\nbatch = +3",
    ))
    .ok()
    .unwrap();
}

#[test]
fn options_that_exclude_or_need_others_are_said_with_both() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("token"), "t:t").unwrap();
    let text = endpoint("bearer_file = \"token\"\nbasic_file = \"token\"\nclient_key = \"token\"");
    let message = load_with(directory.path(), &text, &[]).err().unwrap().message;
    assert!(
        message.contains(":5: basic_file: it cannot be used with bearer_file (line 4)"),
        "{message}"
    );
    assert!(
        message.contains(":6: client_key: it needs client_cert, which is missing"),
        "{message}"
    );
    // As a default of all endpoints, too.
    let text = format!("bearer_file = \"token\"\n{}", endpoint("basic_file = \"token\""));
    let message = load_with(directory.path(), &text, &[]).err().unwrap().message;
    assert!(
        message.contains(":5: basic_file: it cannot be used with bearer_file (line 1)"),
        "{message}"
    );
}

#[test]
fn secrets_do_not_stand_in_the_file() {
    for line in [
        "header = \"Authorization: Bearer abc\"",
        "header = [\"X: 1\", \"cookie: abc\"]",
        #[cfg(feature = "proxy")]
        "proxy = \"http://u:abc@127.0.0.1:1\"",
    ] {
        let error = error(&endpoint(line));
        assert!(error.starts_with("4: ") && !error.contains("abc"), "{error}");
    }
    let at = error("[[endpoint]]\nname = \"a\"\nurl = \"https://u:abc@h/\"");
    assert!(at.starts_with("3: url: there is a user name or password in it"), "{at}");
    let at = error("webhook = \"https://u:abc@h/\"");
    assert!(at.starts_with("1: webhook: there is a user name or password in it"), "{at}");
}

#[test]
fn files_that_cannot_be_read_are_said_with_their_keys() {
    let error =
        errors(&endpoint("secret_file = [\"none\"]\nca_file = \"/\"\nheader_file = \"/dev/null\""));
    assert!(
        error[0].starts_with("4: secret_file: /") && error[0].contains("No such file"),
        "{error:?}"
    );
    assert_eq!(
        error[1..],
        ["5: ca_file: /: not a regular file", "6: header_file: /dev/null: not a regular file"]
    );
}

#[test]
fn a_pilot_has_one_url() {
    let table = "[[endpoint]]\nname = \"pilot\"\n";
    let url = "url = \"http://127.0.0.1:2/\"\n";
    let config = load(&format!("webhook = \"http://127.0.0.1:1/\"\n{table}")).ok().unwrap();
    assert_eq!(config.endpoints[0].url, "http://127.0.0.1:1/");
    let config = load(&format!("{table}{url}")).ok().unwrap();
    assert_eq!(config.endpoints[0].url, "http://127.0.0.1:2/");
    let twice = error(&format!("webhook = \"http://127.0.0.1:1/\"\n{table}{url}"));
    assert_eq!(twice, "1: webhook: pilot has a URL of its own (line 4); take one away");
    let directory = TempDir::new().unwrap();
    let options = ["--webhook", "http://127.0.0.1:3/"];
    let config = load_with(directory.path(), &format!("{table}{url}"), &options).ok().unwrap();
    assert_eq!(config.endpoints[0].url, "http://127.0.0.1:3/");
}

#[test]
fn lines_may_end_as_on_windows() {
    load(&GOOD.replace('\n', "\r\n")).ok().unwrap();
    assert_eq!(
        error("\r\n\r\nzzz = 1\r\n"),
        "3: zzz: there is no such key (docs/config.md has all)"
    );
}

#[test]
fn deep_or_many_things_are_refused_in_few_words() {
    for text in ["[".repeat(100_000), "a.".repeat(100_000), "x = [".repeat(100_000)] {
        assert!(!errors(&text).is_empty());
    }
    let text: String = (0..5_000).map(|n| format!("k{n}zzzzzzzzz = 1\n")).collect();
    let failure = load(&text).err().unwrap();
    assert_eq!(failure.message.lines().count(), 102);
    assert!(
        failure.message.ends_with("5000 errors; nothing of it is applied"),
        "{}",
        failure.message
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_text_panics(text in "(\\PC|\n|=|\"|\\[|\\]){0,200}") {
        drop(load(&text));
    }

    /// Keys and values of the right shape, in a wrong order.
    #[test]
    fn no_keys_panic(lines in proptest::collection::vec((
        prop_oneof![Just("[[endpoint]]"), Just("[endpoint]"), Just("name = "), Just("url = "), Just("batch = "),
            Just("follow = "), Just("events = "), Just("sign = "), Just("header = "), Just("webhook = "),
            Just("basic_file = "), Just("bearer_file = "), Just("retry_schedule = "), Just("x.y = ")],
        prop_oneof![Just("\"a\""), Just("1"), Just("true"), Just("[]"), Just("[\"a\", 1]"), Just("{}"), Just("\"http://h/\""), Just("")],
    ), 0..12)) {
        let text: String = lines.iter().map(|(key, value)| format!("{key}{value}\n")).collect();
        if let Err(failure) = load(&text) {
            prop_assert_eq!(failure.status, 2);
            prop_assert!(failure.message.lines().all(|line| line.contains("pilot.toml:")));
        }
    }
}
