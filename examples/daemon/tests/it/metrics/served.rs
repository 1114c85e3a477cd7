//! A daemon with an admin address, and what it serves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::log::Log;
use crate::support::{EVENTS, bare, daemon, end, signal};

const PATIENCE: Duration = Duration::from_secs(60);

/// The configuration's file, under the home.
const CONFIG: &str = "pilot.toml";

/// A daemon that goes on when its events are read.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) admin: SocketAddr,
    pub(crate) home: TempDir,
}

impl Daemon {
    /// One that reads the captured events.
    pub(crate) fn start(url: &str, options: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (outbox, socket) = (home.path().join("events.db"), home.path().join("socket"));
        let mut command = daemon(url);
        for option in options {
            command.arg(match *option {
                "OUTBOX" => outbox.as_os_str(),
                "SOCKET" => socket.as_os_str(),
                option => option.as_ref(),
            });
        }
        Self::start_so(command, home)
    }

    /// One with this configuration, that reads the captured events.
    pub(crate) fn start_with_config(text: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(CONFIG);
        fs::write(&path, text).unwrap();
        let mut command = bare();
        command.arg("run").arg("--config").arg(path);
        Self::start_so(command, home)
    }

    fn start_so(mut command: Command, home: TempDir) -> Self {
        command.args(["--admin", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--events", EVENTS]);
        command.args(["--drain-timeout", "200ms", "--home"]).arg(home.path());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let rest = Log::of(&mut child).after("operators is at http://");
        let admin = rest.split('/').next().unwrap().parse().unwrap();
        Self { child, admin, home }
    }

    /// Has it read another configuration.
    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.home.path().join(CONFIG), text).unwrap();
        signal(&self.child, "HUP");
    }

    /// The status and the body of an answer.
    pub(crate) fn get(&self, path: &str, accept: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (host, close) = (self.admin, "Connection: close");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n{close}\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The metrics, in Prometheus' own form.
    pub(crate) fn metrics(&self) -> String {
        let (status, text) = self.get("/metrics", "*/*");
        assert_eq!(status, 200);
        text
    }

    /// The metrics, once a sample has this value.
    #[track_caller]
    pub(crate) fn metrics_when(&self, sample: &str, value: f64) -> Served {
        let begin = Instant::now();
        loop {
            let served = Served::parse(&self.metrics());
            if served.value(sample) == Some(value) {
                return served;
            }
            assert!(begin.elapsed() < PATIENCE, "{sample} is {:?}", served.value(sample));
            // Nothing tells that a counter has changed.
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it, and returns the counters that it prints.
    pub(crate) fn stop(self) -> Value {
        signal(&self.child, "TERM");
        end(self.child).0
    }
}

/// Samples by their names and labels.
#[derive(Default)]
pub(crate) struct Served {
    samples: BTreeMap<String, f64>,
    /// Names of families with their types.
    pub(crate) families: BTreeMap<String, String>,
    /// Of each name of samples: its labels, and the values that each has.
    pub(crate) labels: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Served {
    /// Reads the text form of Prometheus strictly, as far as it is used: each family once, its help and its type before
    /// its samples, each sample once, and all samples of a family together.
    pub(crate) fn parse(text: &str) -> Self {
        let mut served = Self::default();
        let (mut help, mut family) = (String::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                rest.split_once(' ').unwrap().0.clone_into(&mut help);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name, help, "its help is before it");
                assert!(
                    served.families.insert(name.to_owned(), kind.to_owned()).is_none(),
                    "{line}"
                );
                name.clone_into(&mut family);
            } else if !line.starts_with('#') {
                served.sample(line, &family);
            }
        }
        served
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        let rest = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} in {family}"));
        assert!(["", "_bucket", "_sum", "_count"].contains(&rest), "{line} in {family}");
        let value = value.parse().unwrap();
        assert!(self.samples.insert(sample.to_owned(), value).is_none(), "{line} is there twice");
        let labels = self.labels.entry(name.to_owned()).or_default();
        let pairs = sample[name.len()..].trim_start_matches('{').trim_end_matches('}');
        for (label, value) in pairs.split("\",").filter_map(|pair| pair.split_once("=\"")) {
            let value = value.trim_end_matches('"').to_owned();
            labels.entry(label.to_owned()).or_default().insert(value);
        }
    }

    pub(crate) fn value(&self, sample: &str) -> Option<f64> {
        self.samples.get(sample).copied()
    }

    /// The sum of the samples of this name with this in their labels.
    pub(crate) fn sum(&self, name: &str, with: &str) -> f64 {
        let is_one = |sample: &str| {
            sample
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{') && rest.contains(with))
        };
        self.samples.iter().filter(|(sample, _)| is_one(sample)).map(|(_, value)| value).sum()
    }
}
