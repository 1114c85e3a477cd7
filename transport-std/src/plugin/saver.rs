//! Who writes what survives a restart beside the swaps of the URL: one task owns the files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::plugin::gone;
use crate::plugin::persist::{PersistError, save_persisted_url};

/// Orders to the task that writes the file that are taken in one go; of their URLs only the last is
/// written. Arbitrary.
const ORDERS_AT_ONCE: usize = 64;

/// The last write's end.
pub(crate) type Saved = Result<(), Arc<PersistError>>;

/// Writes the file behind the swaps.
pub(crate) struct Saver {
    orders: mpsc::UnboundedSender<Order>,
    /// Whether a URL was set. Locked over a swap and its order, so that both go in one sequence.
    is_set: Mutex<bool>,
}

enum Order {
    Save(String),
    /// This URL is gone; with an empty one, none is.
    Gone(String),
    /// Tell how the last write ended, once there is nothing older to write.
    Report(oneshot::Sender<Saved>),
}

impl Saver {
    /// Must be called within a tokio runtime. The task ends with the saver.
    pub(crate) fn start(home: Option<PathBuf>) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        tokio::spawn(save_loop(home, received));
        Self { orders, is_set: Mutex::default() }
    }

    /// Runs `swap`, and has `url` written when it has succeeded.
    ///
    /// # Errors
    /// As `swap`; nothing is written then.
    pub(crate) fn save_after<E>(
        &self,
        url: &str,
        swap: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        swap()?;
        *is_set = true;
        // The task is gone only with its runtime.
        let _ = self.orders.send(Order::Save(url.to_owned()));
        Ok(())
    }

    /// Runs `change` while no URL is set.
    pub(crate) fn hold<R>(&self, change: impl FnOnce() -> R) -> R {
        let _is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        change()
    }

    /// Runs `swap`, unless a URL was set before.
    pub(crate) fn unless_set<R>(&self, swap: impl FnOnce() -> R) -> Option<R> {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        (!*is_set).then(swap)
    }

    /// Notes the URL that is gone, if `find` says that one is, or that none is.
    pub(crate) fn save_gone(&self, find: impl FnOnce() -> Option<String>) {
        let _is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.orders.send(Order::Gone(find().unwrap_or_default()));
    }

    /// How the last write before this ended.
    pub(crate) async fn saved(&self) -> Saved {
        let (report, saved) = oneshot::channel();
        let _ = self.orders.send(Order::Report(report));
        saved.await.unwrap_or(Ok(()))
    }
}

async fn save_loop(home: Option<PathBuf>, mut received: mpsc::UnboundedReceiver<Order>) {
    let mut saved = Ok(());
    let mut orders = Vec::new();
    while received.recv_many(&mut orders, ORDERS_AT_ONCE).await > 0 {
        let (mut latest, mut gone, mut reports) = (None, None, Vec::new());
        for order in orders.drain(..) {
            match order {
                // It counts again, be it the same.
                Order::Save(url) => (latest, gone) = (Some(url), None),
                Order::Gone(url) => gone = Some(url),
                Order::Report(report) => reports.push(report),
            }
        }
        if let (Some(home), Some(url)) = (&home, latest) {
            let save = move |home: &Path| {
                save_persisted_url(home, &url).and_then(|()| gone::save(home, ""))
            };
            saved = write(home.clone(), save).await;
        }
        if let (Some(home), Some(url)) = (&home, gone) {
            // Who waits for a URL to be saved does not wait for this.
            let _ = write(home.clone(), move |home| gone::save(home, &url)).await;
        }
        for report in reports {
            // The receiver may have been dropped.
            let _ = report.send(saved.clone());
        }
    }
}

/// Writes the file on a thread of its own, so that it does not queue behind other work. A thread that
/// cannot be spawned is an error.
pub(crate) async fn write(
    home: PathBuf,
    save: impl FnOnce(&Path) -> Result<(), PersistError> + Send + 'static,
) -> Saved {
    let (done, saved) = oneshot::channel();
    let directory = home.clone();
    let saving = move || done.send(save(&directory));
    let saved = match thread::Builder::new().name("webhook url".to_owned()).spawn(saving) {
        Ok(_) => saved.await.unwrap_or_else(|_| Err(PersistError::io(&home, panicked()))),
        Err(error) => Err(PersistError::io(&home, error)),
    };
    saved.map_err(|error| {
        warn!("the webhook is not persisted: {error}");
        Arc::new(error)
    })
}

fn panicked() -> io::Error {
    io::Error::other("the thread that saves panicked")
}
