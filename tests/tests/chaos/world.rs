//! The daemon, two receivers, and what happens to them.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, count};
use crate::emitter::{Emitter, Lines};
use crate::process::Usage;
use crate::receiver::Receiver;
use crate::schedule::{Answer, Fault, Step};
use crate::wide::Wide;

/// How often the daemon is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long anything may take that should take no time at all, on a host that is busy.
const STUCK: Duration = Duration::from_secs(60);

/// What was seen of the daemon from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) looks: u64,
    /// When it was warm.
    pub(crate) before: Usage,
    /// The most since then.
    pub(crate) most: Usage,
    /// When all was well again.
    pub(crate) after: Usage,
    pub(crate) swaps: u64,
}

pub(crate) struct World {
    pub(crate) daemon: Daemon,
    pub(crate) emitter: Emitter,
    pub(crate) receivers: [Receiver; 2],
    /// Which of them events go to.
    current: usize,
    seen: Seen,
}

impl World {
    /// The daemon, warm: its queue was full once, both receivers were used, and all is well.
    pub(crate) fn start(
        path: &Path,
        options: &[&str],
        lines: Lines,
        wide: Option<&Wide>,
    ) -> Result<Self, String> {
        let receivers = [Receiver::reserve(wide), Receiver::reserve(wide)];
        let (daemon, events) = Daemon::start(path, &receivers[0].url(), options)?;
        let emitter = Emitter::start(events, lines);
        let now = Usage::of(daemon.pid())?;
        let seen = Seen { looks: 0, before: now, most: now, after: now, swaps: 0 };
        let mut world = Self { daemon, emitter, receivers, current: 0, seen };
        // Nobody listens.
        thread::sleep(Duration::from_secs(3));
        for receiver in &mut world.receivers {
            receiver.start()?;
        }
        for _ in 0..2 {
            world.swap()?;
            world.settle()?;
        }
        let now = Usage::of(world.daemon.pid())?;
        world.seen = Seen { looks: 0, before: now, most: now, after: now, swaps: world.seen.swaps };
        Ok(world)
    }

    pub(crate) fn play(&mut self, step: &Step) -> Result<(), String> {
        let target = self.current;
        let receiver = &mut self.receivers[target];
        match step.fault {
            Fault::Stopped => receiver.stop(),
            Fault::Killed => receiver.kill(),
            Fault::Frozen => receiver.freeze(),
            Fault::Answers(answer) => receiver.answer(answer),
        }?;
        let lasts = match step.swap {
            Some(after) => {
                self.pass(after)?;
                self.swap()?;
                step.lasts.saturating_sub(after)
            }
            None => step.lasts,
        };
        self.pass(lasts)?;
        let receiver = &mut self.receivers[target];
        match step.fault {
            Fault::Stopped | Fault::Killed => receiver.start(),
            Fault::Frozen => receiver.thaw(),
            Fault::Answers(_) => receiver.answer(Answer::Good),
        }?;
        self.pass(step.calm)
    }

    fn swap(&mut self) -> Result<(), String> {
        self.current = 1 - self.current;
        self.seen.swaps += 1;
        self.daemon.set_url(&self.receivers[self.current].url())
    }

    /// Lets time pass, and looks on.
    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            self.look()?;
            let Some(left) = time.checked_sub(begun.elapsed()) else { return Ok(()) };
            thread::sleep(left.min(LOOK));
        }
    }

    fn look(&mut self) -> Result<Usage, String> {
        self.daemon.stats()?;
        let now = Usage::of(self.daemon.pid())?;
        self.seen.looks += 1;
        self.seen.most.rss = self.seen.most.rss.max(now.rss);
        self.seen.most.fds = self.seen.most.fds.max(now.fds);
        Ok(now)
    }

    /// Waits until hardly anything is queued, and events go through.
    fn settle(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        let delivered = count(&self.daemon.stats()?, "delivered");
        loop {
            let stats = self.daemon.stats()?;
            let is_calm = count(&stats, "queued") < 10 && stats["breaker"] == "closed";
            if is_calm && count(&stats, "delivered") > delivered + 100 {
                return Ok(());
            }
            if begun.elapsed() > STUCK {
                return Err(self.daemon.explain(&format!("it does not settle: {stats}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until all is well again; gives what was seen.
    pub(crate) fn calm(&mut self) -> Result<Seen, String> {
        self.settle()?;
        self.seen.after = self.look()?;
        Ok(self.seen)
    }
}
