//! The connection that the transports of a client share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{ConnectOptions, Event, ServerError};
use rustls::ClientConfig;
use tokio::sync::{OnceCell, watch};

use crate::http::Trust;
use crate::logging::{ERROR_MAX, Printable, Throttle};
use crate::nats::config::Login;
use crate::nats::error::NatsError;
use crate::nats::refusal::{Refusals, Refused};
use crate::nats::target::NatsTarget;

/// How long an attempt waits for the library to connect again. Arbitrary: a server that was started again is
/// there, and what remains of the HTTP timeout is for the answer.
const AWAY_MAX: Duration = Duration::from_secs(1);
/// Between two of the library's attempts to connect. Arbitrary.
const RECONNECT_DELAY: Duration = Duration::from_millis(250);

/// The connection to the server of the present target.
pub(crate) struct Links {
    login: Login,
    ca_files: Vec<PathBuf>,
    present: Mutex<Option<(String, Arc<OnceCell<Link>>)>>,
}

/// A connection, which the library makes again when it is lost.
pub(crate) struct Link {
    context: Context,
    state: watch::Receiver<State>,
    refusals: Refusals,
}

#[derive(Clone)]
enum State {
    Up,
    /// With the library's words, if it had any.
    Away(String),
    /// The server lets no answers through, as it says.
    Deaf(String),
}

impl Links {
    pub(crate) fn new(login: Login, ca_files: Vec<PathBuf>) -> Self {
        Self { login, ca_files, present: Mutex::default() }
    }

    /// The connection to the target's server; the first that asks makes it, and the others wait for that.
    /// Dropping the future gives up nothing but the waiting.
    pub(crate) async fn to(&self, target: &NatsTarget) -> Result<Arc<OnceCell<Link>>, NatsError> {
        let cell = self.cell(target.server());
        cell.get_or_try_init(|| self.connect(target)).await?;
        Ok(cell)
    }

    fn cell(&self, server: String) -> Arc<OnceCell<Link>> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        match &*present {
            Some((name, cell)) if *name == server => Arc::clone(cell),
            _ => {
                let cell = Arc::<OnceCell<Link>>::default();
                *present = Some((server, Arc::clone(&cell)));
                cell
            }
        }
    }

    /// The next attempt makes another connection than this one.
    pub(crate) fn forget(&self, link: &Arc<OnceCell<Link>>) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.take_if(|(_, it)| Arc::ptr_eq(it, link));
    }

    async fn connect(&self, target: &NatsTarget) -> Result<Link, NatsError> {
        let (tell, state) = watch::channel(State::Up);
        let (throttle, server) = (Throttle::default(), target.server());
        let refusals = Refusals::new();
        let told_refusals = refusals.clone();
        let mut options = ConnectOptions::new()
            .name("pilot-webhook")
            .reconnect_delay_callback(|_| RECONNECT_DELAY)
            .event_callback(move |event| {
                told(&server, &tell, &told_refusals, &throttle, &event);
                async {}
            });
        if target.is_tls() {
            options = options.require_tls(true);
            if let Some(config) = self.trusted().await? {
                options = options.tls_client_config((*config).clone());
            }
        }
        let options = self.login.add_to(options);
        let client = options.connect(target.server()).await.map_err(NatsError::Connect)?;
        Ok(Link { context: ContextBuilder::new().build(client), state, refusals })
    }
}

impl Links {
    /// The TLS side, with what is trusted now: files are read for each new connection.
    async fn trusted(&self) -> Result<Option<Arc<ClientConfig>>, NatsError> {
        let files = self.ca_files.clone();
        let read = tokio::task::spawn_blocking(move || Trust::read(true, files));
        match read.await {
            Ok(Ok(trust)) => Ok(trust.config()),
            Ok(Err(error)) => Err(NatsError::Trust(error)),
            // The runtime ends.
            Err(_) => Err(NatsError::Disconnected),
        }
    }
}

/// Keeps what the library says of the connection to a server.
fn told(
    server: &str,
    state: &watch::Sender<State>,
    refusals: &Refusals,
    throttle: &Throttle,
    event: &Event,
) {
    if let Event::ServerError(ServerError::Other(text)) = event
        && let Some(refused) = Refused::by(text)
    {
        // The attempts say it.
        match refused {
            Refused::Publication(subject) => refusals.tell(subject, text),
            Refused::Answers => _ = state.send_replace(State::Deaf(text.clone())),
        }
        return;
    }
    match event {
        Event::Connected => {
            if let State::Away(_) = state.send_replace(State::Up) {
                tracing::info!("the connection to {server} is there again");
            }
        }
        Event::Disconnected | Event::Closed => {
            if let State::Up | State::Deaf(_) = state.send_replace(State::Away(event.to_string())) {
                tracing::warn!("the connection to {server} is lost; it is made again");
            }
        }
        Event::ServerError(_) | Event::ClientError(_) => {
            if throttle.admit(Instant::now()).is_some() {
                tracing::warn!("{server}: {}", Printable::new(event, ERROR_MAX));
            }
            state.send_if_modified(|state| match state {
                State::Up | State::Deaf(_) => false,
                State::Away(why) => {
                    *why = event.to_string();
                    true
                }
            });
        }
        _ => {}
    }
}

impl Link {
    pub(crate) const fn context(&self) -> &Context {
        &self.context
    }

    /// Completes when there is a connection.
    pub(crate) async fn up(&self) -> Result<(), NatsError> {
        let mut state = self.state.clone();
        let up = state.wait_for(|state| !matches!(state, State::Away(_)));
        if let Ok(Err(_)) = tokio::time::timeout(AWAY_MAX, up).await {
            return Err(NatsError::Away("the connection was given up".to_owned()));
        }
        match &*self.state.borrow() {
            State::Away(why) => Err(NatsError::Away(why.clone())),
            State::Deaf(why) => Err(NatsError::Permission(why.clone())),
            State::Up => Ok(()),
        }
    }

    /// Completes when no answer will come any more, with the reason.
    pub(crate) async fn lost(&self) -> NatsError {
        let mut state = self.state.clone();
        match state.wait_for(|state| !matches!(state, State::Up)).await.as_deref() {
            Ok(State::Deaf(why)) => NatsError::Permission(why.clone()),
            _ => NatsError::Disconnected,
        }
    }

    /// Completes when the server refuses a publication to this subject after this was called.
    pub(crate) fn refused(&self, subject: &str) -> impl Future<Output = NatsError> + use<> {
        let why = self.refusals.of(subject);
        async move { NatsError::Permission(why.await) }
    }

    /// Whether no answer comes over this connection.
    pub(crate) fn is_deaf(&self) -> bool {
        matches!(&*self.state.borrow(), State::Deaf(_))
    }
}
