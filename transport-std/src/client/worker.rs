//! The workers on tokio: each runs the engine's loop, and is started again when it panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use log::error;
use pilot_webhook_core::{Dispatcher, Encoding, Format, SecretCell, SendTransport, Signer, run};
use tokio::task::JoinHandle;

use crate::client::clock::TokioClock;
use crate::client::observer::{Hook, LogObserver, PanicHook, Throttles};
use crate::client::raw_mutex::StdRawMutex;

/// The most attempts in flight.
pub(crate) const MAX_WORKERS: usize = 64;
/// How long a worker that panicked rests. Arbitrary: ten panics a second can be watched.
const RESTART_DELAY: Duration = Duration::from_millis(100);

/// What a client can deliver to: a URL, an address, a subject. Implemented for all such types.
pub trait Target: Clone + PartialEq + Send + Sync + 'static {}

impl<To: Clone + PartialEq + Send + Sync + 'static> Target for To {}

/// The engine as it is put together on std.
pub(crate) type StdDispatcher<To> = Dispatcher<StdRawMutex, Box<[u8]>, To, MAX_WORKERS>;

/// What the workers share with the client.
pub(crate) struct Shared<To> {
    pub(crate) dispatcher: StdDispatcher<To>,
    pub(crate) secret: SecretCell<StdRawMutex>,
    pub(crate) clock: TokioClock,
    pub(crate) throttles: Arc<Throttles>,
    pub(crate) panics: AtomicU64,
}

/// What each worker is made of.
pub(crate) struct Equipment<F> {
    /// Makes a transport.
    pub(crate) transport: F,
    pub(crate) format: Arc<dyn Format + Send>,
    /// Signs beside the secret.
    pub(crate) signer: Arc<dyn Signer + Send>,
    pub(crate) hook: Option<Hook>,
    pub(crate) on_panic: Option<PanicHook>,
    /// Bytes for what is in flight.
    pub(crate) buffer_bytes: usize,
}

/// Runs a worker, and runs it again when it panics.
pub(crate) async fn supervise<To, S, F>(shared: Arc<Shared<To>>, equipment: Arc<Equipment<F>>)
where
    To: Target,
    S: SendTransport<To> + 'static,
    F: Fn() -> S + Send + Sync + 'static,
{
    loop {
        let worker = tokio::spawn(work(Arc::clone(&shared), Arc::clone(&equipment)));
        let Abort(worker) = &mut Abort(worker);
        match worker.await {
            Err(stopped) if stopped.is_panic() => {
                let panics = shared.panics.fetch_add(1, Relaxed) + 1;
                error!("a delivery task panicked; it is started again");
                if let Some(on_panic) = &equipment.on_panic {
                    on_panic(panics);
                }
                // What panics at once would otherwise spin.
                tokio::time::sleep(RESTART_DELAY).await;
            }
            _ => return,
        }
    }
}

/// Ends the worker with its supervisor.
struct Abort(JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn work<To, S, F>(shared: Arc<Shared<To>>, equipment: Arc<Equipment<F>>)
where
    To: Target,
    S: SendTransport<To> + 'static,
    F: Fn() -> S + Send + Sync + 'static,
{
    let mut transport = (equipment.transport)();
    let hook = equipment.hook.clone();
    let throttles = Arc::clone(&shared.throttles);
    let mut observer = LogObserver { throttles, hook, last_attempt: 0 };
    let signer = (&shared.secret, &*equipment.signer);
    let encoding = Encoding { format: &*equipment.format, signer: &signer };
    let mut buffer = vec![0; equipment.buffer_bytes];
    let Shared { dispatcher, clock, .. } = &*shared;
    run(dispatcher, &mut transport, clock, &mut observer, encoding, &mut buffer).await;
}
