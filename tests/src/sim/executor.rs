//! The scheduler: one thread, and only tasks that were woken are polled, so that a
//! lost wake-up is noticed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

pub(crate) type Boxed = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Worker,
    Other,
}

/// What a waker points at.
struct Flag {
    ready: AtomicBool,
    wakes: AtomicU64,
}

impl Flag {
    fn new() -> Arc<Self> {
        Arc::new(Self { ready: AtomicBool::new(true), wakes: AtomicU64::new(0) })
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.store(true, Relaxed);
        self.wakes.fetch_add(1, Relaxed);
    }
}

struct Task {
    future: Boxed,
    flag: Arc<Flag>,
    role: Role,
}

/// The tasks of one simulated world.
#[derive(Default)]
pub(crate) struct Executor {
    tasks: Vec<Option<Task>>,
    polls: u64,
}

impl Executor {
    pub(crate) fn spawn(&mut self, role: Role, future: Boxed) -> usize {
        let task = Some(Task { future, flag: Flag::new(), role });
        if let Some(free) = self.tasks.iter().position(Option::is_none) {
            self.tasks[free] = task;
            return free;
        }
        self.tasks.push(task);
        self.tasks.len() - 1
    }

    /// The tasks that were woken.
    pub(crate) fn ready(&self, out: &mut Vec<usize>) {
        out.clear();
        let is_ready =
            |task: &Option<Task>| task.as_ref().is_some_and(|task| task.flag.ready.load(Relaxed));
        out.extend((0..self.tasks.len()).filter(|&id| is_ready(&self.tasks[id])));
    }

    /// Polls a task once; `true` when it is complete, and gone.
    pub(crate) fn poll(&mut self, id: usize) -> bool {
        self.polls += 1;
        let Some(task) = self.tasks[id].as_mut() else { return true };
        task.flag.ready.store(false, Relaxed);
        let waker = Waker::from(Arc::clone(&task.flag));
        let poll = task.future.as_mut().poll(&mut Context::from_waker(&waker));
        if poll == Poll::Ready(()) {
            self.tasks[id] = None;
        }
        poll.is_ready()
    }

    /// Drops a task.
    pub(crate) fn abort(&mut self, id: usize) {
        self.tasks[id] = None;
    }

    /// Lets a task be polled although nothing woke it: something of its own changed.
    pub(crate) fn nudge(&self, id: usize) {
        if let Some(task) = &self.tasks[id] {
            task.flag.ready.store(true, Relaxed);
        }
    }

    /// Moves a task: it is polled with another waker from now on, and the old one wakes nobody.
    pub(crate) fn migrate(&mut self, id: usize) {
        if let Some(task) = &mut self.tasks[id] {
            task.flag = Flag::new();
        }
    }

    pub(crate) fn polls(&self) -> u64 {
        self.polls
    }

    /// How often workers were woken, but for the task `except`.
    pub(crate) fn worker_wakes(&self, except: Option<usize>) -> u64 {
        let tasks = self.tasks.iter().enumerate().filter(|(id, _)| Some(*id) != except);
        let workers = tasks.filter_map(|(_, task)| task.as_ref());
        let workers = workers.filter(|task| task.role == Role::Worker);
        workers.map(|task| task.flag.wakes.load(Relaxed)).sum()
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.iter().flatten().count()
    }
}
