//! The daemon: built once, run as a child, commanded over its socket.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pilot_webhook_tests::PLACES;
use serde_json::Value;
use tempfile::TempDir;

use crate::process;
use crate::receiver::SECRET;

/// Nothing here takes long; what takes this long is stuck.
const STUCK: Duration = Duration::from_secs(30);
/// How many of its last log lines are kept.
const LOG: usize = 60;

/// Where it is: what `PILOT_WEBHOOKD` names, or else a release build, which is made.
pub(crate) fn build() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("PILOT_WEBHOOKD") {
        return Ok(PathBuf::from(path));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(cargo)
        .current_dir(workspace)
        .args(["build", "--release", "-p", "pilot-webhookd"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut built = messages.filter_map(|message| {
        let is_daemon = message["target"]["name"] == "pilot-webhookd";
        message["executable"].as_str().filter(|_| is_daemon).map(PathBuf::from)
    });
    match built.next_back() {
        Some(path) if output.status.success() => Ok(path),
        _ => Err(format!("the daemon was not built: {}", output.status)),
    }
}

/// The daemon, running. Dropped, it is killed.
pub(crate) struct Daemon {
    child: Child,
    stdout: Option<ChildStdout>,
    socket: PathBuf,
    log: Arc<Mutex<VecDeque<String>>>,
    /// Its home, secret and socket.
    _home: TempDir,
}

impl Daemon {
    /// Starts it; gives its standard input, where it reads events.
    pub(crate) fn start(
        path: &Path,
        url: &str,
        options: &[&str],
    ) -> Result<(Self, ChildStdin), String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (socket, secret) = (home.path().join("s"), home.path().join("secret"));
        std::fs::write(&secret, SECRET).map_err(|error| error.to_string())?;
        let mut command = Command::new(path);
        command.args(["run", "--events", "-", "--exit-at-end", "--webhook", url]);
        command.arg("--home").arg(home.path()).arg("--socket").arg(&socket);
        command.arg("--secret-file").arg(&secret).args(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("the daemon: {error}"))?;
        let events = child.stdin.take().unwrap();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take().unwrap());
        let log = Arc::<Mutex<VecDeque<String>>>::default();
        let (tell_ready, ready) = mpsc::channel();
        let lines = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.contains("taking commands at") {
                    let _ = tell_ready.send(());
                }
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() == LOG {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
        });
        let daemon = Self { child, stdout, socket, log, _home: home };
        match ready.recv_timeout(STUCK) {
            Ok(()) => Ok((daemon, events)),
            Err(_) => Err(daemon.explain("it does not get ready")),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends events to another URL from now on.
    pub(crate) fn set_url(&self, url: &str) -> Result<(), String> {
        self.ask(0x1B, url).map(drop)
    }

    /// Its counters now, which satisfy the conservation invariant.
    pub(crate) fn stats(&self) -> Result<Value, String> {
        let info = self.ask(0x0D, "")?;
        obey_law(&info["webhook"])?;
        Ok(info["webhook"].clone())
    }

    fn ask(&self, command: u8, payload: &str) -> Result<Value, String> {
        let answer = || -> std::io::Result<Vec<u8>> {
            let mut stream = UnixStream::connect(&self.socket)?;
            stream.set_read_timeout(Some(STUCK))?;
            stream.set_write_timeout(Some(STUCK))?;
            let length = u32::try_from(payload.len() + 1).map_err(std::io::Error::other)?;
            let frame = [&length.to_be_bytes()[..], &[command], payload.as_bytes()].concat();
            stream.write_all(&frame)?;
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let mut frame = vec![0; u32::from_be_bytes(length).try_into().unwrap_or(0)];
            stream.read_exact(&mut frame)?;
            Ok(frame)
        };
        let answer = answer().map_err(|error| self.explain(&format!("no answer: {error}")))?;
        match answer.split_first() {
            Some((kind, json)) if *kind == command + 1 => {
                serde_json::from_slice(json).map_err(|error| error.to_string())
            }
            _ => Err(self.explain(&format!("it refused {command:#x}: {answer:?}"))),
        }
    }

    /// Waits for its end after the last event; gives the counters that it printed.
    pub(crate) fn end(mut self, limit: Duration) -> Result<Value, String> {
        let status = process::wait(&mut self.child, limit);
        let status = status.map_err(|error| self.explain(&error))?;
        let mut said = String::new();
        if let Some(mut stdout) = self.stdout.take() {
            stdout.read_to_string(&mut said).map_err(|error| error.to_string())?;
        }
        let stats = serde_json::from_str(&said);
        let stats = stats.map_err(|error| self.explain(&format!("{error}: {said:?}")))?;
        // 3: it ended well, and counts events that were not delivered.
        if !matches!(status.code(), Some(0 | 3)) {
            return Err(self.explain(&format!("{status}, {stats}")));
        }
        obey_law(&stats)?;
        Ok(stats)
    }

    /// What went wrong, and what it said last.
    pub(crate) fn explain(&self, what: &str) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log: Vec<_> = log.iter().map(String::as_str).collect();
        format!("the daemon: {what}; its last words:\n{}", log.join("\n"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn obey_law(stats: &Value) -> Result<(), String> {
    let sum: u64 = PLACES.iter().map(|place| count(stats, place)).sum();
    if sum == count(stats, "emitted") {
        Ok(())
    } else {
        Err(format!("an event is in no counter, or in two: {stats}"))
    }
}

/// One of its counters; absurd if it is not there.
pub(crate) fn count(stats: &Value, key: &str) -> u64 {
    stats[key].as_u64().unwrap_or(u64::MAX / 100)
}
