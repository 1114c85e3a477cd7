//! A client over a transport that is not HTTP: lines over TCP, answered one by one.

use std::cell::Cell;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

use pilot_webhook_core::{ErrorKind, Message, Reply, SendTransport, Verdict};
use pilot_webhook_std::ClientBuilder;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Sends each body as a line and reads `ok` or `again`. Like many a transport it is `Send` and not `Sync`.
#[derive(Default)]
struct Lines {
    kept: Option<(SocketAddr, BufReader<TcpStream>)>,
    _not_sync: PhantomData<Cell<()>>,
}

impl Lines {
    async fn connection(
        &mut self,
        to: SocketAddr,
        fresh: bool,
    ) -> Result<BufReader<TcpStream>, ErrorKind> {
        match self.kept.take() {
            Some((address, kept)) if address == to && !fresh => Ok(kept),
            _ => {
                let stream = TcpStream::connect(to).await.map_err(|_| ErrorKind::Connect)?;
                Ok(BufReader::new(stream))
            }
        }
    }
}

impl SendTransport<SocketAddr> for Lines {
    type Error = ErrorKind;

    async fn send(&mut self, to: &SocketAddr, message: &Message<'_>) -> Result<Reply, ErrorKind> {
        let mut stream = self.connection(*to, message.fresh).await?;
        let broken = |_| ErrorKind::Disconnected;
        stream.write_all(message.body).await.map_err(broken)?;
        stream.write_all(b"\n").await.map_err(broken)?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await.map_err(broken)?;
        let verdict = match answer.trim_end() {
            "ok" => Verdict::Accepted,
            "again" => Verdict::Later(None),
            _ => return Err(ErrorKind::Protocol),
        };
        self.kept = Some((*to, stream));
        Ok(Reply { verdict, code: 1 })
    }
}

/// Where it listens, and the lines it gets. The first is to come again.
async fn receiver() -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, lines) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut answers = ["again\n"].into_iter();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
                let _ = sender.send(std::mem::take(&mut line));
                let answer = answers.next().unwrap_or("ok\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    (address, lines)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_over_a_transport_of_ones_own_to_targets_of_its_own_kind() {
    let (first, mut at_first) = receiver().await;
    let (second, mut at_second) = receiver().await;
    let client = ClientBuilder::with_transport(Lines::default, Some(first))
        .node_id(7)
        .retry_backoff(Duration::from_millis(1))
        .build()
        .unwrap();
    assert_eq!(client.emit("a", &1), Ok(Some(1)));
    client.drained().await;
    let line = at_first.recv().await.unwrap();
    assert!(line.contains("\"event\":\"a\""), "{line}");
    assert_eq!(at_first.recv().await.unwrap(), line, "it was to come again");

    client.set_target(second).unwrap();
    assert_eq!(client.target(), Some(second));
    assert_eq!(client.emit("b", &2), Ok(Some(2)));
    client.drained().await;
    assert!(at_second.recv().await.unwrap().contains("\"event\":\"b\""));

    client.clear();
    assert_eq!((client.target(), client.emit("c", &3)), (None, Ok(None)));
    client.close().await;
    let stats = client.stats();
    assert_eq!((stats.delivered, stats.attempts), (2, 4));
    assert!(stats.is_balanced());
    assert!(client.set_target(first).is_err());
}

#[tokio::test]
async fn without_a_target_nothing_is_taken_in_until_one_is_set() {
    let (address, mut lines) = receiver().await;
    let client = ClientBuilder::with_transport(Lines::default, None).build().unwrap();
    assert_eq!(client.emit("a", &1), Ok(None));
    client.set_target(address).unwrap();
    client.emit("b", &2).unwrap();
    assert!(lines.recv().await.unwrap().contains("\"event\":\"b\""));
}
