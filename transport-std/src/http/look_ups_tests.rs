use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread::Builder;

use proptest::prelude::*;
use tokio::runtime;
use tokio::sync::oneshot;

use super::*;
use crate::http::resolve::{Resolving, on_a_thread};

type Ending = oneshot::Sender<io::Result<Vec<IpAddr>>>;

/// A resolver whose look-ups end when the test says so.
#[derive(Clone, Default)]
struct Puppet {
    running: Arc<Mutex<Vec<(String, Ending)>>>,
}

impl Puppet {
    fn names(&self) -> Vec<String> {
        self.running.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
    }

    /// Ends a look-up: with an address, with an error, or with a panic.
    fn end(&self, name: &str, how: &Ends) {
        let mut running = self.running.lock().unwrap();
        let Some(index) = running.iter().position(|(running, _)| running == name) else { return };
        let (_, ending) = running.remove(index);
        let _ = match how {
            Ends::Found(address) => ending.send(Ok(vec![*address])),
            Ends::Fails => ending.send(Err(io::ErrorKind::NotFound.into())),
            Ends::Panics => return drop(ending),
        };
    }
}

impl Resolve for Puppet {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        let (ending, ended) = oneshot::channel();
        self.running.lock().unwrap().push((host.to_owned(), ending));
        Box::pin(async { ended.await.expect("a panic, on purpose") })
    }
}

#[derive(Clone, Debug)]
enum Ends {
    Found(IpAddr),
    Fails,
    Panics,
}

#[derive(Clone, Debug)]
enum Op {
    Ask(u8),
    /// The attempt is over that has waited longest, shortest, or in between.
    GiveUp(prop::sample::Index),
    End(u8, Ends),
    Forget(u8),
    Wait(Duration),
}

fn op() -> impl Strategy<Value = Op> {
    let ends = prop_oneof![
        4 => any::<u32>().prop_map(|bits| Ends::Found(Ipv4Addr::from_bits(bits).into())),
        1 => Just(Ends::Fails),
        1 => Just(Ends::Panics),
    ];
    prop_oneof![
        4 => (0..8_u8).prop_map(Op::Ask),
        2 => any::<prop::sample::Index>().prop_map(Op::GiveUp),
        3 => (0..8_u8, ends).prop_map(|(name, ends)| Op::End(name, ends)),
        1 => (0..8_u8).prop_map(Op::Forget),
        1 => (0..400_u64).prop_map(|seconds| Op::Wait(Duration::from_secs(seconds))),
    ]
}

type Asking = Pin<Box<dyn Future<Output = io::Result<Arc<[IpAddr]>>>>>;

/// The look-ups, their resolver, and what they should do.
struct World {
    look_ups: LookUps,
    puppet: Puppet,
    waiting: Vec<(String, Asking)>,
    /// The names of which a look-up runs or waits that an attempt gave up on.
    missed: BTreeSet<String>,
    kept: BTreeMap<String, (IpAddr, Instant)>,
    /// The names that were being looked up before.
    before: BTreeSet<String>,
}

impl World {
    fn new() -> Self {
        let puppet = Puppet::default();
        Self {
            look_ups: LookUps::new(Arc::new(puppet.clone())),
            puppet,
            waiting: Vec::new(),
            missed: BTreeSet::new(),
            kept: BTreeMap::new(),
            before: BTreeSet::new(),
        }
    }

    fn poll(asking: &mut Asking) -> Option<io::Result<Arc<[IpAddr]>>> {
        match asking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(answer) => Some(answer),
            std::task::Poll::Pending => None,
        }
    }

    async fn ask(&mut self, name: String) {
        let look_ups = self.look_ups.clone();
        let asked = name.clone();
        let mut asking: Asking = Box::pin(async move { look_ups.addresses(&asked).await });
        let answer = Self::poll(&mut asking).map(|answer| answer.unwrap()[0]);
        let now = Instant::now();
        self.kept.retain(|_, (_, since)| now - *since <= KEPT_FOR);
        assert_eq!(answer, self.kept.get(&name).map(|(address, _)| *address));
        if answer.is_none() {
            self.waiting.push((name, asking));
        }
    }

    fn give_up(&mut self, index: prop::sample::Index) {
        if !self.waiting.is_empty() {
            let (name, _) = self.waiting.remove(index.index(self.waiting.len()));
            self.missed.insert(name);
        }
    }

    async fn end(&mut self, name: &str, ends: &Ends) {
        if !self.puppet.names().iter().any(|running| running == name) {
            return;
        }
        self.puppet.end(name, ends);
        settle().await;
        // Everybody who waited has the answer.
        self.waiting.retain_mut(|(waits_for, asking)| {
            let answer = Self::poll(asking);
            assert_eq!(answer.is_some(), waits_for == name);
            match (answer, ends) {
                (Some(answer), Ends::Found(address)) => assert_eq!(*answer.unwrap(), [*address]),
                (Some(answer), _) => assert!(answer.is_err()),
                (None, _) => return true,
            }
            false
        });
        if self.missed.remove(name)
            && let Ends::Found(address) = ends
        {
            self.kept.insert(name.to_owned(), (*address, Instant::now()));
        }
    }

    /// What holds at all times.
    async fn check(&mut self) {
        settle().await;
        let running = self.puppet.names();
        let names: BTreeSet<_> = running.iter().cloned().collect();
        assert_eq!(names.len(), running.len(), "a name is looked up twice: {running:?}");
        assert!(running.len() <= AT_ONCE, "{running:?}");
        let waiting: BTreeSet<_> = self.waiting.iter().map(|(name, _)| name.clone()).collect();
        let begun: BTreeSet<_> = names.difference(&self.before).cloned().collect();
        assert!(begun.is_subset(&waiting), "nobody waits for all of {begun:?}");
        let idle = waiting.difference(&names).count();
        let table = self.look_ups.lock();
        assert!(idle == 0 || running.len() == AT_ONCE || table.running < AT_ONCE);
        // Nothing is left of what nobody waits for, but in the queue until its turn.
        assert!(table.names.len() <= 8 && table.queue.len() <= 8);
        self.before = names;
        // A name that lost its turn is as if it had never been asked for.
        self.missed.retain(|name| matches!(table.names.get(&**name), Some(State::Asked { .. })));
    }
}

/// Lets the tasks run that can.
async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

fn name(n: u8) -> String {
    format!("name-{n}.test")
}

proptest! {
    #[test]
    fn any_asking(ops in prop::collection::vec(op(), 0..60)) {
        let mut runtime = runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for op in ops {
                match op {
                    Op::Ask(n) => world.ask(name(n)).await,
                    Op::GiveUp(index) => world.give_up(index),
                    Op::End(n, ends) => world.end(&name(n), &ends).await,
                    Op::Forget(n) => {
                        world.look_ups.forget(&name(n));
                        world.kept.remove(&name(n));
                    }
                    Op::Wait(time) => tokio::time::advance(time).await,
                }
                world.check().await;
            }
            // An attempt more for each name that waits, and all have their answer.
            while let Some((name, _)) = world.waiting.first() {
                let name = name.clone();
                world.ask(name).await;
                world.check().await;
                let running = world.puppet.names();
                assert!(!running.is_empty(), "they wait for nothing");
                for name in running {
                    world.end(&name, &Ends::Found(Ipv4Addr::LOCALHOST.into())).await;
                    world.check().await;
                }
            }
        });
    }
}

/// Tokio's blocking pool had a thread for each attempt, 514 in all, and commands found none.
#[tokio::test]
async fn a_silent_resolver_has_four_threads_however_many_attempts_wait() {
    /// Answers when the test ends.
    struct Silent(Mutex<Vec<mpsc::Sender<()>>>);
    impl Resolve for Silent {
        fn resolve<'a>(&'a self, _host: &'a str) -> Resolving<'a> {
            let (ending, ended) = mpsc::channel();
            self.0.lock().unwrap().push(ending);
            Box::pin(on_a_thread(Builder::new(), move || {
                let _ = ended.recv();
                Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
            }))
        }
    }
    let silent = Arc::new(Silent(Mutex::default()));
    let resolver: Arc<dyn Resolve> = silent.clone();
    let look_ups = LookUps::new(resolver);
    for _ in 0..3 {
        let attempts = (0..64).map(|n| {
            let look_ups = look_ups.clone();
            tokio::spawn(async move {
                let limit = Duration::from_millis(20);
                let name = name(n % 8);
                tokio::time::timeout(limit, look_ups.addresses(&name)).await.is_err()
            })
        });
        for attempt in attempts.collect::<Vec<_>>() {
            assert!(attempt.await.unwrap());
        }
        assert_eq!(silent.0.lock().unwrap().len(), 4);
    }
}

/// The runtime that looked a name up is gone, and the name can be looked up by another.
#[test]
fn a_runtime_that_ends_takes_no_name_with_it() {
    let puppet = Puppet::default();
    let look_ups = LookUps::new(Arc::new(puppet.clone()));
    for _ in 0..2 * AT_ONCE {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut asking: Asking = Box::pin({
                let look_ups = look_ups.clone();
                async move { look_ups.addresses("a.test").await }
            });
            assert!(World::poll(&mut asking).is_none());
            settle().await;
        });
    }
    assert_eq!(puppet.names().len(), 2 * AT_ONCE);
}
