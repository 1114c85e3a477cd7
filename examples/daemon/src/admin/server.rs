//! Accepts connections at the admin address, in bounded number, memory and time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pilot_webhook_std::Hub;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tracing::{info, warn};

use super::gate::Gate;
use super::guard::Hosts;
use super::options::AdminOptions;
use super::page::Pages;
use super::routes::{self, Shared};
use super::status::Status;
use super::token;
use super::watch::Watch;
use crate::Failure;
use crate::aside::aside;

/// Connections at once. For a further one the oldest that asked for nothing is closed; if all have asked, it waits in the
/// system's backlog. Arbitrary: a browser has six.
const CONNECTIONS: usize = 64;
/// The longest head, in bytes.
const HEAD_MAX: usize = 16 * 1024;
/// How long a head may take; a connection between two requests has as long. Arbitrary: shorter than Prometheus' usual 15 s
/// between two scrapes, so that none is kept for them.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may go without a byte in either direction. What is live sends more often than that.
const STALL: Duration = Duration::from_secs(60);
/// Before connections are accepted again after that failed. Arbitrary: long enough for the log.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The address a request came to.
#[derive(Clone, Copy)]
pub(super) struct Local(pub(super) IpAddr);

/// The admin address, which listens already.
pub(crate) struct Admin {
    listener: TcpListener,
    hosts: Hosts,
    gate: Gate,
    watch: Arc<Watch>,
}

impl Admin {
    /// Listens, and makes or reads the token. `None` without `--admin`. Within a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken or none of this machine's, or there is no token.
    pub(crate) async fn bind(
        options: &AdminOptions,
        home: Option<&Path>,
        socket: Option<&Path>,
        watch: Arc<Watch>,
    ) -> Result<Option<Self>, Failure> {
        let Some(address) = options.admin else { return Ok(None) };
        let fail = |error| Failure::runtime(format!("{address}: {error}"));
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let token = token(options, home, socket, address.port()).await?;
        let gate = Gate::new(&token, address.port()).map_err(Failure::runtime)?;
        info!("the page for operators is at http://{address}/");
        if !address.ip().is_loopback() {
            warn!("the admin address is reached from other machines, and there is no TLS");
        }
        Ok(Some(Self { listener, hosts: Hosts::new(&options.admin_host), gate, watch }))
    }

    /// Shows these endpoints, and the dead letters of the outbox with this file, for ever. What is under way ends when
    /// this is dropped.
    pub(crate) async fn serve(self, hub: Hub, outbox: Option<PathBuf>) -> Infallible {
        let Self { listener, hosts, gate, watch } = self;
        let status = Arc::new(Status::new(hub.clone(), Arc::clone(&watch)));
        let pages = Arc::new(Pages::new(hub, watch, outbox));
        let shared = Shared { hosts, gate, pages: Arc::clone(&pages), status };
        let router = routes::router(Arc::new(shared));
        tokio::select! {
            never = accept(listener, router) => never,
            never = pages.look() => never,
        }
    }
}

/// Accepts connections, for ever.
async fn accept(listener: TcpListener, router: Router) -> Infallible {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut silent = Silent::default();
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("no connection to the admin address could be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if places.available_permits() == 0 {
            silent.close_oldest();
        }
        // This one may wait with nothing read of it, and those behind it are not accepted.
        let place = Arc::clone(&places).acquire_owned().await;
        while connections.try_join_next().is_some() {}
        let router = router.clone();
        let has_asked = Arc::<AtomicBool>::default();
        let asked = Arc::clone(&has_asked);
        let connection = connections.spawn(async move {
            answer(stream, router, &asked).await;
            drop(place);
        });
        silent.add(has_asked, connection);
    }
}

/// The connections that asked for nothing yet, oldest first.
#[derive(Default)]
struct Silent(VecDeque<(Arc<AtomicBool>, AbortHandle)>);

impl Silent {
    fn add(&mut self, has_asked: Arc<AtomicBool>, connection: AbortHandle) {
        self.0.retain(|(asked, connection)| !asked.load(Relaxed) && !connection.is_finished());
        self.0.push_back((has_asked, connection));
    }

    fn close_oldest(&mut self) {
        while let Some((asked, connection)) = self.0.pop_front() {
            if !asked.load(Relaxed) && !connection.is_finished() {
                connection.abort();
                return;
            }
        }
    }
}

/// Whether there is a token, or a place for one. Nothing is made.
///
/// # Errors
/// When there is not.
pub(crate) fn check(
    options: &AdminOptions,
    home: Option<&Path>,
    socket: Option<&Path>,
) -> Result<(), Failure> {
    match options.admin {
        Some(_) => token::check(options.admin_token_file.as_deref(), home, socket),
        None => Ok(()),
    }
}

/// The operator's token, or a new one, whose place is logged.
async fn token(
    options: &AdminOptions,
    home: Option<&Path>,
    socket: Option<&Path>,
    port: u16,
) -> Result<Vec<u8>, Failure> {
    if let Some(path) = options.admin_token_file.clone() {
        // It may be a pipe.
        return aside(move || token::of_file(&path)).await?;
    }
    let path = token::place(home, socket, port)?;
    let token = token::make(&path)?;
    info!("the page's token is in {}", path.display());
    Ok(token)
}

/// Serves one connection to its end, and notes that it asked for something.
async fn answer(stream: TcpStream, router: Router, has_asked: &AtomicBool) {
    let Ok(local) = stream.local_addr() else { return };
    let service = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
        has_asked.store(true, Relaxed);
        request.extensions_mut().insert(Local(local.ip()));
        TowerToHyperService::new(router.clone()).call(request)
    });
    let moved = AtomicU64::new(0);
    let stream = Watched { stream, moved: &moved };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut before = 0;
    loop {
        tokio::select! {
            // A client that breaks off is its own affair.
            _ = connection.as_mut() => return,
            () = sleep(STALL) => {
                let now = moved.load(Relaxed);
                if std::mem::replace(&mut before, now) == now {
                    return;
                }
            }
        }
    }
}

/// A stream that counts the bytes that move.
struct Watched<'a> {
    stream: TcpStream,
    moved: &'a AtomicU64,
}

impl Watched<'_> {
    fn count(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Relaxed);
    }
}

impl AsyncRead for Watched<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.count(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.count(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[path = "server_tests/mod.rs"]
mod tests;
