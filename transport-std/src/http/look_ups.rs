//! DNS look-ups that attempts share, and that go on when an attempt ends.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pilot_webhook_core::http::AGE_MAX;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::http::resolve::Resolve;

/// The most look-ups that run at a time; further names are queued. Arbitrary: a client resolves one name
/// at a time, and after a change of its URL perhaps the ones before it.
const AT_ONCE: usize = 4;
/// How old a result may be that is kept for the next attempt: as old as a connection may get.
const KEPT_FOR: Duration = AGE_MAX;

/// The look-ups of all transports of a client. Cheap to clone.
///
/// A name is looked up once at a time: attempts that ask for it meanwhile wait for the same result. The
/// look-up does not end with the attempt that began it. When an attempt that waited is over before, the
/// result is kept for those that follow it, for five minutes at most, and until
/// [`forget`](Self::forget): so a look-up that takes longer than an attempt may costs one attempt, and
/// not each. A result that every waiting attempt got is kept only on demand ([`keep`](Self::keep)).
#[derive(Clone)]
pub(crate) struct LookUps {
    resolver: Arc<dyn Resolve>,
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    names: HashMap<Arc<str>, State>,
    /// The names whose look-up has not begun.
    queue: VecDeque<Arc<str>>,
    /// How many tasks look names up.
    running: usize,
}

enum State {
    /// In the queue, or being looked up.
    Asked {
        waiters: watch::Sender<Option<Answer>>,
        /// Whether an attempt that waited is over.
        missed: bool,
    },
    /// The result of a look-up that an attempt gave up on.
    Kept { addresses: Arc<[IpAddr]>, since: Instant },
}

type Answer = Result<Arc<[IpAddr]>, Arc<io::Error>>;

impl LookUps {
    pub(crate) fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver, table: Arc::default() }
    }

    /// The addresses of `name`. If the future is dropped before, the next caller gets the result.
    pub(crate) async fn addresses(&self, name: &str) -> io::Result<Arc<[IpAddr]>> {
        let mut waiter = match self.join(name) {
            Joined::Kept(addresses) => return Ok(addresses),
            Joined::Waits(waiter) => waiter,
        };
        let answer = waiter.answer.wait_for(Option::is_some).await.ok();
        let answer = answer.and_then(|answer| Option::clone(&answer)).unwrap_or_else(cut_off);
        waiter.has_answer = true;
        answer.map_err(|error| io::Error::new(error.kind(), error))
    }

    /// Keeps the result of a look-up, which came so late that the attempt may end before it is of use.
    pub(crate) fn keep(&self, name: &str, addresses: &Arc<[IpAddr]>) {
        let kept = State::Kept { addresses: Arc::clone(addresses), since: Instant::now() };
        self.lock().names.entry(name.into()).or_insert(kept);
    }

    /// An attempt at an address of `name` failed: a result that is kept from before is no guide.
    pub(crate) fn forget(&self, name: &str) {
        let mut table = self.lock();
        if let Some(State::Kept { .. }) = table.names.get(name) {
            table.names.remove(name);
        }
    }

    fn join(&self, name: &str) -> Joined {
        let now = Instant::now();
        let mut table = self.lock();
        table.names.retain(|_, state| state.is_current(now));
        let answer = match table.names.get(name) {
            Some(State::Kept { addresses, .. }) => return Joined::Kept(Arc::clone(addresses)),
            Some(State::Asked { waiters, .. }) => waiters.subscribe(),
            None => {
                let (waiters, answer) = watch::channel(None);
                let name = Arc::<str>::from(name);
                table.names.insert(Arc::clone(&name), State::Asked { waiters, missed: false });
                table.queue.push_back(name);
                answer
            }
        };
        let begins = table.running < AT_ONCE && !table.queue.is_empty();
        table.running += usize::from(begins);
        drop(table);
        if begins {
            tokio::spawn(Turn { look_ups: self.clone(), name: None, is_over: false }.run());
        }
        let waiter =
            Waiter { look_ups: self.clone(), name: name.into(), answer, has_answer: false };
        Joined::Waits(waiter)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_current(&self, now: Instant) -> bool {
        match self {
            Self::Asked { .. } => true,
            Self::Kept { since, .. } => now.saturating_duration_since(*since) <= KEPT_FOR,
        }
    }
}

impl Table {
    /// The next name to look up. Names that no attempt waits for any more are removed.
    fn next(&mut self) -> Option<Arc<str>> {
        loop {
            let name = self.queue.pop_front()?;
            match self.names.get(&name) {
                Some(State::Asked { waiters, .. }) if waiters.receiver_count() > 0 => {
                    return Some(name);
                }
                _ => self.names.remove(&name),
            };
        }
    }

    fn end(&mut self, name: Arc<str>, answer: Answer) {
        let Some(State::Asked { waiters, missed }) = self.names.remove(&name) else { return };
        if missed && let Ok(addresses) = &answer {
            let addresses = Arc::clone(addresses);
            self.names.insert(name, State::Kept { addresses, since: Instant::now() });
        }
        waiters.send_replace(Some(answer));
    }
}

fn cut_off() -> Answer {
    Err(Arc::new(io::Error::other("the look-up was cut off")))
}

enum Joined {
    Kept(Arc<[IpAddr]>),
    Waits(Waiter),
}

/// An attempt that waits for a look-up.
struct Waiter {
    look_ups: LookUps,
    name: Box<str>,
    answer: watch::Receiver<Option<Answer>>,
    has_answer: bool,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if !self.has_answer
            && let Some(State::Asked { missed, .. }) =
                self.look_ups.lock().names.get_mut(&*self.name)
        {
            *missed = true;
        }
    }
}

/// One of the tasks that look names up, one after another, until none waits for its turn.
struct Turn {
    look_ups: LookUps,
    name: Option<Arc<str>>,
    is_over: bool,
}

impl Turn {
    async fn run(mut self) {
        let resolver = Arc::clone(&self.look_ups.resolver);
        while let Some(name) = self.next() {
            let found = resolver.resolve(&name).await;
            self.name = None;
            self.look_ups.lock().end(name, found.map(Arc::from).map_err(Arc::new));
        }
    }

    fn next(&mut self) -> Option<Arc<str>> {
        let mut table = self.look_ups.lock();
        self.name = table.next();
        if self.name.is_none() {
            // Under the same lock, so that no name is left in the queue.
            self.is_over = true;
            table.running -= 1;
        }
        self.name.clone()
    }
}

/// A resolver that panics and a runtime that ends are no reason to wait.
impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            let mut table = self.look_ups.lock();
            table.running -= 1;
            if let Some(name) = self.name.take() {
                table.end(name, cut_off());
            }
        }
    }
}

#[cfg(test)]
#[path = "look_ups_tests.rs"]
mod tests;
