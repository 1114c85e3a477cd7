//! The daemon's end: answers clients, which cannot harm each other.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, error, warn};

use super::frame::{Frame, FrameError, Frames};
use super::message::{self, Request, without_credentials};
use super::socket::{self, IpcError, SocketFile};

/// Does what clients ask for, for several at once. It must not block: it may wait for threads that do, of which
/// there may be one.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Delivers to another URL from now on; to none when it is empty.
    ///
    /// # Errors
    /// What is wrong, for the client: with the URL, and nothing changed; or with saving it, and the
    /// URL is in force until the daemon ends.
    fn set_webhook(&self, url: &str) -> impl Future<Output = Result<(), String>> + Send;

    /// The answer to `info`.
    fn info(&self) -> Value;

    /// The answer to `health`.
    fn health(&self) -> Value;

    /// Reads the configuration again. Returns what was done.
    ///
    /// # Errors
    /// What is wrong with it, for the client; nothing changed then.
    fn reload(&self) -> impl Future<Output = Result<Vec<String>, String>> + Send;
}

/// Limits on clients.
#[derive(Clone, Copy)]
struct Limits {
    /// At once.
    clients: usize,
    /// The longest wait for the next byte inside a frame, and for an answer to be taken.
    stall: Duration,
    /// Between two looks at the socket's path.
    look: Duration,
}

/// The looks are arbitrary: soon for who waits for a command, and no work.
const LIMITS: Limits =
    Limits { clients: 64, stall: Duration::from_secs(10), look: Duration::from_secs(5) };
/// Before clients are accepted again after that failed, which it does when files run out.
/// Arbitrary: long enough for the log.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What happens when another process takes the socket's path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnLost {
    /// It is bound again, as soon as no process listens there.
    Rebind,
    /// The server ends.
    End,
}

/// The socket's path leads to another socket, or nowhere.
#[derive(Debug)]
pub(crate) struct Lost;

/// A socket that listens. Dropping it removes its file.
pub(crate) struct Server {
    // Goes first, so that no path leads to a closed socket.
    file: SocketFile,
    listener: UnixListener,
    on_lost: OnLost,
    /// Whether the path is known to be lost.
    is_lost: bool,
    limits: Limits,
}

impl Server {
    /// Listens at `path`; only this user may connect. Within a tokio runtime.
    ///
    /// # Errors
    /// When another process listens there already, when the path is something other than a socket, or when a
    /// file operation fails.
    pub(crate) async fn bind(path: &Path, on_lost: OnLost) -> Result<Self, IpcError> {
        let (listener, file) = socket::listen(path).await?;
        Ok(Self { file, listener, on_lost, is_lost: false, limits: LIMITS })
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Answers clients, for as long as it is polled, or until the path is lost and that is to be the end. Dropping
    /// it cuts them off and removes the socket's file; what the handler is doing just then, it does to its end.
    pub(crate) async fn serve<H: Handler>(mut self, handler: Arc<H>) -> Lost {
        let places = Arc::new(Semaphore::new(self.limits.clients));
        let mut clients = JoinSet::new();
        let mut looks = interval(self.limits.look);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = looks.tick() => match self.look().await {
                    Ok(()) => continue,
                    Err(lost) => return lost,
                },
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!("{}: {error}", self.path().display());
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            while clients.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                debug!("an IPC client too many");
                turn_away(stream);
                continue;
            };
            let (handler, stall) = (Arc::clone(&handler), self.limits.stall);
            clients.spawn(async move {
                let mut stream = stream;
                if let Err(error) = serve_client(&mut stream, &handler, stall).await {
                    debug!("an IPC client: {error}");
                }
                // Before the stream, so that a client that sees it end can come again.
                drop(place);
                drop(stream);
            });
        }
    }

    /// Sees to it that clients find us.
    async fn look(&mut self) -> Result<(), Lost> {
        if self.file.is_ours() {
            self.is_lost = false;
            return Ok(());
        }
        let path = self.path().to_owned();
        if self.on_lost == OnLost::End {
            return Err(Lost);
        }
        match socket::listen(&path).await {
            Ok((listener, file)) => {
                (self.file, self.listener, self.is_lost) = (file, listener, false);
                warn!("{}: the socket was taken away, and is there again", path.display());
            }
            Err(error) if !self.is_lost => {
                self.is_lost = true;
                error!(
                    "the socket was taken away, commands do not arrive until it is back: {error}"
                );
            }
            Err(_) => {}
        }
        Ok(())
    }
}

/// Sends the reason and closes, without waiting: the buffer of a new socket has room for one short frame.
fn turn_away(stream: UnixStream) {
    if let (Ok(mut stream), Ok(bytes)) =
        (stream.into_std(), message::error("too many clients").encode())
    {
        // Ignored: the client may have disconnected.
        let _ = stream.write(&bytes);
    }
}

async fn serve_client<H: Handler>(
    stream: &mut UnixStream,
    handler: &Arc<H>,
    stall: Duration,
) -> Result<(), FrameError> {
    let (reader, mut writer) = stream.split();
    let mut frames = Frames::new(reader, stall);
    loop {
        let frame = match frames.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(error) => {
                if let FrameError::TooLong(_) = error {
                    message::error(&error).write(&mut writer, stall).await?;
                }
                return Err(error);
            }
        };
        let (reply, fit) = answer(frame, handler).await;
        if let Some(reply) = reply {
            reply.write(&mut writer, stall).await?;
        }
        if !fit {
            return Ok(());
        }
    }
}

/// The answer, if there is one, and whether the client may go on. It may not when the handler panicked.
async fn answer<H: Handler>(frame: Frame, handler: &Arc<H>) -> (Option<Frame>, bool) {
    let request = match Request::read(frame) {
        Ok(request) => request,
        Err(no_request) => return (no_request.reply(), true),
    };
    let handler = Arc::clone(handler);
    // A task of its own, in which a panic ends, too.
    let handled = tokio::spawn(async move {
        let outcome = match &request {
            Request::Info => Ok(handler.info()),
            Request::Health => Ok(handler.health()),
            Request::Reload => handler.reload().await.map(|done| json!({"done": done})),
            // Echoed as pilot does, but for a password, and not read back: another client may have set another since.
            Request::SetWebhook(url) => handler
                .set_webhook(url)
                .await
                .map(|()| json!({"webhook": without_credentials(url)})),
        };
        request.reply(outcome)
    });
    match handled.await {
        Ok(reply) => (Some(reply), true),
        Err(_) => {
            error!("an IPC command panicked: this is a bug");
            (Some(message::error("internal error")), false)
        }
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
