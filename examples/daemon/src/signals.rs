//! The signals that the daemon listens for. By default each would kill it.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listeners. Each keeps a signal that came until it is awaited.
pub(crate) struct Signals {
    pub(crate) ends: Ends,
    /// SIGHUP.
    pub(crate) hang_up: Signal,
    /// SIGUSR1.
    pub(crate) user_1: Signal,
    /// SIGUSR2 and SIGALRM, which are ignored.
    _ignored: [Signal; 2],
}

/// SIGINT, SIGTERM and SIGQUIT.
pub(crate) struct Ends([Signal; 3]);

impl Signals {
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When a listener cannot be installed.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            ends: Ends([
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::quit())?,
            ]),
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            _ignored: [signal(SignalKind::user_defined2())?, signal(SignalKind::alarm())?],
        })
    }
}

impl Ends {
    /// Completes when one of them has come. Cancel-safe.
    pub(crate) async fn recv(&mut self) {
        let [interrupt, terminate, quit] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = quit.recv() => {}
        }
    }
}
