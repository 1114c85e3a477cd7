//! A daemon with a page, and a receiver that does as it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::log::Log;
use crate::support;

/// A receiver whose status can be changed.
pub(crate) struct Receiver {
    pub(crate) url: String,
    status: Arc<AtomicU16>,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    /// It says this in each answer that may have a body.
    pub(crate) fn start(status: u16, says: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Self { url, status: Arc::new(status.into()), bodies: Arc::default() };
        let (status, bodies) = (Arc::clone(&receiver.status), Arc::clone(&receiver.bodies));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(body) = request(&mut stream) else { continue };
                let status = status.load(Relaxed);
                if status < 300 {
                    bodies.lock().unwrap().push(body);
                }
                let says = if status == 204 { "" } else { says };
                let head = format!("HTTP/1.1 {status} Told\r\nconnection: close");
                let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{says}", says.len());
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        receiver
    }

    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Relaxed);
    }

    /// The bodies that were taken.
    pub(crate) fn taken(&self) -> Vec<Value> {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }
}

/// The body of a request.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}

/// A daemon that reads events from the test.
pub(crate) struct Daemon {
    /// Of its page, without a slash at the end.
    pub(crate) page: String,
    pub(crate) token: String,
    input: ChildStdin,
    child: Child,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    /// One with a single endpoint.
    pub(crate) fn start(url: &str, home: &TempDir, arguments: &[&str]) -> Self {
        Self::start_with(home, &[&["--webhook", url], arguments].concat())
    }

    pub(crate) fn start_with(home: &TempDir, arguments: &[&str]) -> Self {
        let mut command = support::bare();
        command.args(["run", "--events", "-", "--admin", "0", "--home"]).arg(home.path());
        command.args(arguments);
        command.env("PILOT_HOME", home.path()).env_remove("XDG_RUNTIME_DIR");
        let mut child = command.spawn().unwrap();
        let log = Log::of(&mut child);
        let file = PathBuf::from(log.after("the page's token is in "));
        let page = log.after("the page for operators is at ").trim_end_matches('/').to_owned();
        let token = std::fs::read_to_string(file).unwrap().trim().to_owned();
        let input = child.stdin.take().unwrap();
        Self { page, token, input, child }
    }

    pub(crate) fn event(&mut self, topic: &str, data: &Value) {
        writeln!(self.input, "{}", json!({"topic": topic, "data": data})).unwrap();
    }
}
