//! A daemon with a socket, and a client that sends bytes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::log::Log;
use crate::support;

/// How long anything may take that a test waits for. Arbitrary, and far more than it takes on a
/// loaded host: a test that would wait for ever fails instead.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const SET: u8 = 0x1B;
pub(crate) const SET_OK: u8 = 0x1C;
pub(crate) const INFO: u8 = 0x0D;
pub(crate) const INFO_OK: u8 = 0x0E;
pub(crate) const ERROR: u8 = 0x0A;

/// A directory for a socket, and the socket's path. It outlives daemons.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) socket: PathBuf,
    /// Where the URL is persisted.
    pub(crate) home: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let socket = directory.path().join("pilot.sock");
        Self { directory, socket, home: TempDir::new().unwrap() }
    }

    /// `pilot-webhookd COMMAND --socket PATH`.
    pub(crate) fn command(&self, command: &str) -> Command {
        let mut called = support::bare();
        called.arg(command).arg("--socket").arg(&self.socket).env("PILOT_HOME", self.home.path());
        called
    }

    /// Starts a daemon, and waits until its socket listens.
    #[track_caller]
    pub(crate) fn daemon(&self, arguments: &[&str]) -> Daemon {
        let mut child = self.command("run").args(arguments).spawn().unwrap();
        let (log, input) = (Log::of(&mut child), child.stdin.take());
        let daemon = Daemon { child: Some(child), log, input, socket: self.socket.clone() };
        daemon.wait_for_log("taking commands at");
        daemon
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// A daemon that takes commands. Killed with its test.
pub(crate) struct Daemon {
    child: Option<Child>,
    log: Log,
    input: Option<ChildStdin>,
    socket: PathBuf,
}

impl Daemon {
    /// Reads the log up to the line with these words.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, words: &str) -> String {
        self.log.wait_for(words)
    }

    /// An event for `--events -`.
    pub(crate) fn event(&mut self, topic: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, r#"{{"topic":"{topic}"}}"#).unwrap();
    }

    pub(crate) fn end_of_events(&mut self) {
        self.input = None;
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.socket)
    }

    /// What `info` says, over a connection of its own.
    pub(crate) fn info(&self) -> Value {
        let (command, payload) = self.client().ask(INFO, b"");
        assert_eq!(command, INFO_OK);
        serde_json::from_slice(&payload).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        support::signal(self.child.as_ref().unwrap(), name);
    }

    /// Waits for its end; returns the stats it printed.
    #[track_caller]
    pub(crate) fn end(mut self) -> Value {
        // Its pipes stay open: it is to end by itself.
        let (stats, output) = support::end(self.child.take().unwrap());
        assert!(output.status.success());
        stats
    }

    #[track_caller]
    pub(crate) fn terminate(self) -> Value {
        self.signal("TERM");
        self.end()
    }

    pub(crate) fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A connection to the daemon, byte by byte.
pub(crate) struct Client(pub(crate) UnixStream);

impl Client {
    pub(crate) fn new(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    #[track_caller]
    pub(crate) fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(length).try_into().unwrap()];
        self.0.read_exact(&mut frame).unwrap();
        let payload = frame.split_off(1);
        (frame[0], payload)
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, command: u8, payload: &[u8]) -> (u8, Vec<u8>) {
        self.send(&frame(command, payload));
        self.receive()
    }

    /// The daemon has closed the connection, with nothing more to say.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        match self.0.read(&mut [0]) {
            Ok(count) => assert_eq!(count, 0),
            // Closed with bytes of ours unread.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}

/// The frame's bytes, by hand.
pub(crate) fn frame(command: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len() + 1).unwrap().to_be_bytes().to_vec();
    bytes.push(command);
    bytes.extend_from_slice(payload);
    bytes
}

/// An error's answer.
pub(crate) fn error(message: &str) -> (u8, Vec<u8>) {
    (ERROR, [b"\0\x01", message.as_bytes()].concat())
}

/// A finished command's exit status, and what it wrote to both outputs.
#[track_caller]
pub(crate) fn finish(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}
