//! A receiver in a process of its own: what it does there, and how the test commands it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver as Line};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hmac::{Hmac, Mac};
use rustls::{ServerConnection, StreamOwned};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpSocket;

use crate::process;
use crate::schedule::Answer;
use crate::wide::{self, Wide};

/// What the daemon signs with.
pub(crate) const SECRET: &str = "hush";
/// The argument that makes a process a receiver.
pub(crate) const ROLE: &str = "--receive-at";
/// Nothing here takes long; what takes this long is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// A request that a receiver read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Its events, at least one.
    pub(crate) ids: Vec<u64>,
    /// The status that it was about to answer with; 0 for none.
    pub(crate) status: u16,
}

/// The test's end of a receiver. It keeps its address, whatever becomes of its processes.
pub(crate) struct Receiver {
    address: SocketAddr,
    /// Bound and not listening: no other process gets the port while the receiver is down.
    _reserved: TcpSocket,
    /// What it needs to serve many connections at once, over TLS, if it does.
    wide: Option<PathBuf>,
    process: Option<Process>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

struct Process {
    child: Child,
    commands: ChildStdin,
    reader: JoinHandle<Result<(), String>>,
}

impl Receiver {
    /// One that is down.
    pub(crate) fn reserve(wide: Option<&Wide>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        let wide = wide.map(|wide| wide.folder().to_owned());
        Self { address, _reserved: socket, wide, process: None, arrivals: Arc::default() }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_wide() { "https" } else { "http" };
        format!("{scheme}://{}/hook", self.address)
    }

    /// Whether it serves many connections at once, so that there is no order.
    pub(crate) const fn is_wide(&self) -> bool {
        self.wide.is_some()
    }

    /// What has arrived, over all its lives, in order.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts a process that answers well.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(this);
        command.args([ROLE, &self.address.to_string()]).args(&self.wide);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("a receiver: {error}"))?;
        let (commands, said) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell_ready, ready) = mpsc::channel();
        let arrivals = Arc::clone(&self.arrivals);
        let reader = thread::spawn(move || listen(BufReader::new(said), &tell_ready, &arrivals));
        self.process = Some(Process { child, commands, reader });
        wait_until_ready(&ready).map_err(|error| format!("{}: {error}", self.address))
    }

    /// Answers like this from now on.
    pub(crate) fn answer(&mut self, answer: Answer) -> Result<(), String> {
        let process = self.process.as_mut().ok_or("no receiver to command")?;
        writeln!(process.commands, "{answer}").map_err(|error| format!("a receiver: {error}"))
    }

    pub(crate) fn freeze(&self) -> Result<(), String> {
        self.signal("STOP")
    }

    pub(crate) fn thaw(&self) -> Result<(), String> {
        self.signal("CONT")
    }

    fn signal(&self, signal: &str) -> Result<(), String> {
        let process = self.process.as_ref().ok_or("no receiver to signal")?;
        process::signal(process.child.id(), signal)
    }

    /// Ends it between two requests.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        let Some(Process { child, commands, reader }) = self.process.take() else { return Ok(()) };
        drop(commands);
        end(child, reader)
    }

    /// Ends it wherever it is.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        let Some(Process { mut child, reader, .. }) = self.process.take() else { return Ok(()) };
        child.kill().map_err(|error| error.to_string())?;
        end(child, reader)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Waits for its end, and until all that it said is known: what its next life says comes after.
fn end(mut child: Child, reader: JoinHandle<Result<(), String>>) -> Result<(), String> {
    process::wait(&mut child, STUCK)?;
    reader.join().map_err(|_| "a receiver's reader panicked")?
}

/// Takes down what a process says, a line each.
fn listen(
    said: impl BufRead,
    ready: &mpsc::Sender<()>,
    arrivals: &Mutex<Vec<Arrival>>,
) -> Result<(), String> {
    for line in said.lines() {
        let Ok(line) = line else { break };
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["ready"] => drop(ready.send(())),
            ["got", status, ref ids @ ..] if !ids.is_empty() => {
                let ids: Result<_, _> = ids.iter().map(|id| id.parse()).collect();
                let (Ok(ids), Ok(status)) = (ids, status.parse()) else {
                    return Err(format!("a receiver said {line:?}"));
                };
                let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
                arrivals.push(Arrival { ids, status });
            }
            _ => return Err(format!("a receiver said {line:?}")),
        }
    }
    Ok(())
}

fn wait_until_ready(ready: &Line<()>) -> Result<(), String> {
    ready.recv_timeout(STUCK).map_err(|_| "the receiver does not get ready".to_owned())
}

/// A command to a receiver.
struct Orders {
    answer: Mutex<Answer>,
    /// Shared by the requests that are being answered.
    busy: RwLock<()>,
}

/// A receiver's life, in its own process: one connection after the other, as they come, so that the
/// order of what it says is the order in which it was sent; or all at once, over TLS. It ends with its
/// standard input.
pub(crate) fn serve(address: &str, wide: Option<&Path>) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let tls = wide.map(wide::load).transpose()?;
    let orders = Arc::new(Orders { answer: Mutex::new(Answer::Good), busy: RwLock::new(()) });
    let commanded = Arc::clone(&orders);
    thread::spawn(move || {
        for line in io::stdin().lines() {
            let Ok(line) = line else { break };
            let Some(answer) = Answer::read(&line) else { break };
            *commanded.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        }
        let _between_requests = commanded.busy.write();
        std::process::exit(0);
    });
    say("ready")?;
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STUCK))?;
        stream.set_write_timeout(Some(STUCK))?;
        // A client that breaks off is its own affair.
        match &tls {
            None => drop(serve_connection(stream, &orders)),
            Some(tls) => {
                let tls = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
                let orders = Arc::clone(&orders);
                thread::spawn(move || serve_connection(StreamOwned::new(tls, stream), &orders));
            }
        }
    }
    Ok(())
}

fn serve_connection(stream: impl Read + Write, orders: &Orders) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let Some((head, body)) = read_request(&mut reader)? else { return Ok(()) };
        let _busy = orders.busy.read();
        let answer = *orders.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = event_ids(&head, &body).unwrap_or_else(|what| format!("{what}: {body:?}"));
        // Said before it is answered: what was answered has been said.
        say(&format!("got {} {ids}", answer.status()))?;
        if !answer.give(reader.get_mut())? {
            return Ok(());
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
        if head[before..] == *"\r\n" {
            break;
        }
    }
    let length = header(&head, "content-length").and_then(|value| value.parse().ok());
    let mut body = vec![0; length.ok_or_else(|| io::Error::other("no length"))?];
    reader.read_exact(&mut body)?;
    Ok(Some((head, body)))
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// The ids of the events of a request, which must be signed, whole, and each the one of its number.
fn event_ids(head: &str, body: &[u8]) -> Result<String, &'static str> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    let expected = mac.finalize().into_bytes();
    let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
    if header(head, "x-pilot-signature-256") != Some(&expected) {
        return Err("not signed");
    }
    let events = match serde_json::from_slice(body) {
        Ok(Value::Array(events)) => {
            if header(head, "x-pilot-batch") != Some(&events.len().to_string()) {
                return Err("not as many as the header says");
            }
            events
        }
        Ok(event) => vec![event],
        Err(_) => return Err("no JSON"),
    };
    if events.iter().any(|event| event["event_id"] != event["data"]["n"]) {
        return Err("another event of this id");
    }
    let ids: Vec<_> = events.iter().map(|event| event["event_id"].to_string()).collect();
    Ok(ids.join(" "))
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
