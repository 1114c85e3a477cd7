//! The receivers, in another process: this binary once more.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Set in the process that plays them.
const PART: &str = "THOUSAND_PART";

/// Whether this process plays the receivers, and has no test of its own.
pub(crate) fn is_played_here() -> bool {
    std::env::var(PART).is_ok()
}

/// The receivers: one that takes all, one that fails, one that never answers, and one that has gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plays_the_receivers() {
    if !is_played_here() {
        return;
    }
    // They end with whoever began them.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    let (takes, fails, hangs, gone) = (bind().await, bind().await, bind().await, bind().await);
    let address = |listener: &TcpListener| listener.local_addr().unwrap();
    let [a, b, c, d] = [&takes, &fails, &hangs, &gone].map(address);
    println!("they listen at {a} {b} {c} {d}");
    drop(gone);
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(hangs.accept().await.unwrap());
        }
    });
    tokio::spawn(serve(fails, b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"));
    serve(takes, b"HTTP/1.1 204 No Content\r\n\r\n").await;
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn serve(listener: TcpListener, answer: &'static [u8]) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer_all(stream, answer));
    }
}

/// Answers each request, which comes in one piece.
async fn answer_all(mut stream: TcpStream, answer: &[u8]) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// The process that plays them, and their addresses.
pub(crate) struct Receivers {
    child: Child,
    pub(crate) takes: SocketAddr,
    /// Those that take nothing.
    dead: [SocketAddr; 3],
}

impl Receivers {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "receivers::plays_the_receivers", "--nocapture", "--test-threads=1"])
            .env(PART, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = |line: String| line.split_once("they listen at ").map(|it| it.1.to_owned());
        let addresses = lines.into_iter().find_map(said).expect("they are said");
        let mut addresses = addresses.split(' ').map(|it| it.parse().unwrap());
        let mut next = || addresses.next().unwrap();
        Self { takes: next(), dead: [next(), next(), next()], child }
    }

    /// That of a dead endpoint: a third of them fail, a third never answer, and a third have gone.
    pub(crate) fn dead(&self, n: usize) -> SocketAddr {
        self.dead[n % self.dead.len()]
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
