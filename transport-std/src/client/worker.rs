//! The workers on tokio: each runs the engine's loop, and is started again when it panics.

use std::sync::Arc;
use std::time::Duration;

use pilot_webhook_core::standard::Keys;
use pilot_webhook_core::{Encoding, Format, SecretCell, SendTransport, Signer};
use tokio::task::JoinHandle;
use tracing::error;

use crate::client::clock::TokioClock;
use crate::client::engine::Engine;
use crate::client::error::ClientError;
use crate::client::observer::Panics;
use crate::client::pages::zeroed;
use crate::client::pausing::Pausing;
use crate::client::raw_mutex::StdRawMutex;
use crate::client::trace::Trace;

/// The pause before a worker that failed is started again. Arbitrary: ten panics a second can still be
/// followed in a log.
const RESTART_DELAY: Duration = Duration::from_millis(100);

/// What a client can deliver to: a URL, an address, a subject. Implemented for all such types.
pub trait Target: Clone + PartialEq + Send + Sync + 'static {}

impl<To: Clone + PartialEq + Send + Sync + 'static> Target for To {}

/// What the workers share with the client.
pub(crate) struct Shared<To> {
    pub(crate) dispatcher: Engine<To>,
    pub(crate) secret: SecretCell<StdRawMutex>,
    pub(crate) keys: Keys<StdRawMutex>,
    pub(crate) clock: TokioClock,
    pub(crate) pausing: Pausing,
    pub(crate) panics: Arc<Panics>,
}

/// What each worker is made from.
pub(crate) struct Equipment<F> {
    /// Makes a transport.
    pub(crate) transport: F,
    pub(crate) format: Arc<dyn Format + Send>,
    /// The signer in addition to the secret and the keys.
    pub(crate) signer: Arc<dyn Signer + Send>,
    pub(crate) trace: Trace,
    /// Bytes for what is in flight.
    pub(crate) buffer_bytes: usize,
}

/// Runs a worker, and runs it again when it panics, or has no memory.
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
                let endpoint = shared.dispatcher.observer().name();
                error!(endpoint, "a delivery task panicked; it is started again");
                shared.panics.caught();
            }
            Ok(Err(error)) => {
                let endpoint = shared.dispatcher.observer().name();
                error!(endpoint, "a delivery task failed ({error}); it is started again");
            }
            _ => return,
        }
        // A worker that fails at once would otherwise spin.
        tokio::time::sleep(RESTART_DELAY).await;
    }
}

/// Aborts the worker when its supervisor is dropped.
struct Abort(JoinHandle<Result<(), ClientError>>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn work<To, S, F>(
    shared: Arc<Shared<To>>,
    equipment: Arc<Equipment<F>>,
) -> Result<(), ClientError>
where
    To: Target,
    S: SendTransport<To> + 'static,
    F: Fn() -> S + Send + Sync + 'static,
{
    let mut transport = (equipment.transport)();
    let signer = (&shared.secret, (&shared.keys, (&*equipment.signer, &equipment.trace)));
    let encoding = Encoding { format: &*equipment.format, signer: &signer };
    let mut buffer = zeroed(equipment.buffer_bytes)?;
    let Shared { dispatcher, clock, .. } = &*shared;
    dispatcher.run(&mut transport, clock, encoding, &mut buffer).await;
    Ok(())
}
