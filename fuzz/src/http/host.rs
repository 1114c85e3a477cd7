//! The transport for tokio, over loopback.

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::Duration;

use pilot_webhook_core::Transport;
use pilot_webhook_std::{HttpConfig, HttpShared, HttpTransport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::{BODIES, Ending, Outcomes, SECOND, Script, endpoint, message};

/// Nothing here takes long; what takes this long hangs.
const STUCK: Duration = Duration::from_secs(10);

/// What inputs share.
struct Bench {
    runtime: Runtime,
    listener: TcpListener,
    http: HttpShared,
}

thread_local! {
    // Not there while it is in use, and not put back after a panic.
    static BENCH: Cell<Option<Bench>> = const { Cell::new(None) };
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let http = HttpConfig::new().system_roots(false).build().unwrap();
        Self { runtime, listener, http }
    }
}

pub(super) fn play(script: Script<'_>) -> Outcomes {
    let bench = BENCH.take().unwrap_or_else(Bench::new);
    let outcomes = bench.runtime.block_on(posts(&bench, script));
    BENCH.set(Some(bench));
    outcomes
}

async fn posts(bench: &Bench, script: Script<'_>) -> Outcomes {
    let endpoint = endpoint(bench.listener.local_addr().unwrap().port());
    let mut transport = HttpTransport::new(&bench.http);
    let mut connection = None;
    let floods = script.ending == Ending::Flood;
    let first = {
        let message = message(0);
        let mut post = pin!(timeout(STUCK, transport.send(&endpoint, &message)));
        let mut server = pin!(first(bench, script, &mut connection));
        tokio::select! {
            result = &mut post => {
                // All is written before the second post, but for what has no end.
                if !floods {
                    timeout(STUCK, server).await.expect("the server is read from, or broken");
                }
                result
            }
            () = &mut server => post.await,
        }
    };
    let connections = Cell::new(1);
    let second = {
        let message = message(1);
        let mut post = pin!(timeout(STUCK, transport.send(&endpoint, &message)));
        tokio::select! {
            result = &mut post => result,
            () = second(bench, connection, &connections) => unreachable!("it waits for ever"),
        }
    };
    let posts = [first, second]
        .map(|result| result.expect("the post hangs").map_err(|error| error.to_string()));
    Outcomes { posts, connections: connections.get() }
}

/// Answers the first post. A client that goes away is no error.
async fn first(bench: &Bench, script: Script<'_>, connection: &mut Option<TcpStream>) {
    let (stream, _) = bench.listener.accept().await.unwrap();
    let _ = stream.set_nodelay(true);
    let stream = connection.insert(stream);
    let ending = script.ending;
    let _ = answer(stream, script).await;
    match ending {
        Ending::Close => {
            let _ = stream.shutdown().await;
        }
        Ending::Reset => {
            let _ = stream.set_zero_linger();
            *connection = None;
        }
        Ending::Stay | Ending::Flood => {}
    }
}

async fn answer(stream: &mut TcpStream, mut script: Script<'_>) -> io::Result<()> {
    let wave = Script::wave(script.pieces.rest());
    read(stream, BODIES[0]).await?;
    loop {
        let piece = script.pieces.piece(usize::MAX);
        if piece.is_empty() {
            break;
        }
        stream.write_all(piece).await?;
    }
    if script.ending == Ending::Flood {
        let waves = wave.repeat(1_024);
        loop {
            stream.write_all(&waves).await?;
        }
    }
    Ok(())
}

/// Answers the second post, over the first connection or a new one, and never ends.
async fn second(bench: &Bench, mut kept: Option<TcpStream>, connections: &Cell<usize>) {
    let mut fresh = pin!(fresh(bench, connections));
    if let Some(kept) = &mut kept {
        tokio::select! {
            // Whether it worked or not: there may be a new connection.
            _ = reply(kept) => {}
            () = &mut fresh => {}
        }
    }
    fresh.await;
}

async fn fresh(bench: &Bench, connections: &Cell<usize>) {
    let (mut stream, _) = bench.listener.accept().await.unwrap();
    connections.set(connections.get() + 1);
    let _ = reply(&mut stream).await;
    pending::<()>().await;
}

async fn reply(stream: &mut TcpStream) -> io::Result<()> {
    read(stream, BODIES[1]).await?;
    stream.write_all(SECOND).await
}

/// Reads a request to its end.
async fn read(stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    let mut request = Vec::with_capacity(512);
    while !request.ends_with(body) {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
