//! Prometheus itself reads what is served, where it is on this machine: `PILOT_PROMETHEUS` names the folder with
//! `prometheus` and `promtool`, unless they are in the path. `PILOT_REQUIRE_PROMETHEUS=1` makes their absence a failure.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pilot_webhook_tests::FreePort;
use serde_json::Value;

use super::served::Daemon;
use crate::support::Sink;

const PACKAGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/prometheus");
const RULE_TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/metrics/alerts_test.yml");

/// One of its programs; `None` where there is none, which is said.
fn program(name: &str) -> Option<PathBuf> {
    let folder = env::var_os("PILOT_PROMETHEUS").map(PathBuf::from);
    let path = folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
    let version = Command::new(&path).arg("--version").output();
    if version.is_ok_and(|output| output.status.success()) {
        return Some(path);
    }
    assert!(env::var_os("PILOT_REQUIRE_PROMETHEUS").is_none(), "there is no {name}");
    eprintln!("!!! SKIPPED: no {name}\n!!! to get it: apt-get install prometheus");
    None
}

#[test]
fn promtool_has_nothing_to_say() {
    let Some(promtool) = program("promtool") else { return };
    let sink = Sink::start();
    let daemon = Daemon::start(&sink.url(), &["--outbox", "OUTBOX"]);
    let metrics = daemon.metrics();
    daemon.stop();
    let mut check = Command::new(&promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "");
    assert!(output.status.success());

    let rules = format!("{PACKAGING}/alerts.yml");
    for arguments in [["check", "rules", &rules], ["test", "rules", RULE_TESTS]] {
        let output = Command::new(&promtool).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// A Prometheus that scrapes once a second, with the alerts.
struct Prometheus {
    child: Child,
    address: String,
    _port: FreePort,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn start(daemon: &Daemon) -> Option<Self> {
        let program = program("prometheus")?;
        let port = FreePort::take().unwrap();
        let (address, folder) = (format!("127.0.0.1:{}", port.number()), daemon.home.path());
        let config = format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nscrape_configs:\n  - job_name: pilot-webhook\n    \
             static_configs:\n      - targets: [\"{}\"]\nrule_files:\n  - {PACKAGING}/alerts.yml\n",
            daemon.admin
        );
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { child, address, _port: port })
    }

    /// What it answers to a question by its API; null when it does not yet.
    fn ask(&self, path: &str) -> Value {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asked = runtime.block_on(async {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut stream = tokio::net::TcpStream::connect(&self.address).await?;
            let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        });
        let answer = asked.unwrap_or_default();
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(body).unwrap_or_default()
    }

    /// Waits until it answers so.
    fn wait_for(&self, path: &str, is_so: impl Fn(&Value) -> bool) {
        let begin = Instant::now();
        loop {
            let answer = self.ask(path);
            if is_so(&answer) {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{path}: {answer}");
            // It scrapes once a second.
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[test]
fn prometheus_scrapes_the_daemon_and_raises_an_alert() {
    // It wants signatures.
    let sink = Sink::start_with_secret(b"another");
    let daemon = Daemon::start(&sink.url(), &["--outbox", "OUTBOX"]);
    let Some(prometheus) = Prometheus::start(&daemon) else {
        daemon.stop();
        return;
    };
    prometheus.wait_for("/api/v1/targets", |answer| {
        let target = &answer["data"]["activeTargets"][0];
        target["health"] == "up" && target["lastError"] == ""
    });
    let rejected = "/api/v1/query?query=pilot_webhook_events_total%7Bfate%3D%22rejected%22%7D";
    prometheus.wait_for(rejected, |answer| answer["data"]["result"][0]["value"][1] == "54");
    let quantile =
        "/api/v1/query?query=histogram_quantile(0.9,pilot_webhook_attempt_duration_seconds_bucket)";
    prometheus.wait_for(quantile, |answer| answer["data"]["result"][0]["value"][1].is_string());
    // It is raised when it was so for an hour.
    prometheus.wait_for("/api/v1/alerts", |answer| {
        let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        alerts.iter().any(|alert| {
            alert["labels"]["alertname"] == "PilotWebhookDeadLetters" && alert["state"] == "pending"
        })
    });
    drop(prometheus);
    daemon.stop();
}
