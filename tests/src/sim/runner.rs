//! Runs one plan: picks the next step, and checks everything after it.

use std::rc::Rc;

use pilot_webhook_core::{BreakerState, OnOpen, Stats};

use super::executor::{Executor, Role};
use super::gate::Gate;
use super::ledger::{Fault, Phase};
use super::plan::{Op, Plan, Weather};
use super::rng::Rng;
use super::world::{Members, World};

/// How often tasks may be polled without time going on, for each task and event. Measured: the
/// most in a million runs is a quarter of it.
const POLLS_AT_ONCE: u64 = 40;
/// When a receiver that is well has got everything: the longest `Retry-After` that is believed, with
/// its jitter, twice, and some.
const SETTLED_WITHIN: u64 = 5 * 3_600_000_000;

/// The measurements of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ran {
    pub(crate) events: u64,
    pub(crate) attempts: u64,
    pub(crate) polls: u64,
    pub(crate) micros: u64,
}

type Control = (Phase, BreakerState, u32, u32, u32);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The plan's ops.
    Ops,
    /// The receiver is well: everything gets there.
    Settling {
        until: u64,
    },
    Closing,
}

struct Runner<'p, const W: usize> {
    plan: &'p Plan,
    world: Rc<World<W>>,
    tasks: Executor,
    rng: Rng,
    crews: Vec<(usize, Members)>,
    emitters: Vec<(u64, usize)>,
    /// Workers that are to be started, and when.
    restarts: Vec<(u64, usize)>,
    next_op: usize,
    op_at: u64,
    stage: Stage,
    serial: u64,
    /// Polls and ops since time last went on.
    polls_at_once: u64,
    ops_at_once: u64,
    is_pure: bool,
}

/// Plays `plan`, and says what it was or which promise it broke; with the steps if `traced`.
pub(crate) fn play<const W: usize>(plan: &Plan, traced: bool) -> (Result<Ran, Fault>, Vec<String>) {
    let world = World::<W>::new(plan, traced);
    let mut runner = Runner {
        plan,
        tasks: Executor::default(),
        rng: Rng::new(plan.seed, 4),
        crews: Vec::new(),
        emitters: Vec::new(),
        restarts: Vec::new(),
        next_op: 0,
        op_at: 1 + plan.ops.first().map_or(0, |op| op.0),
        stage: Stage::Ops,
        serial: 0,
        polls_at_once: 0,
        ops_at_once: 0,
        is_pure: plan.last_buffer == plan.buffer,
        world,
    };
    let ran = runner.run();
    let trace = runner.world.ledger.borrow_mut().take_trace();
    (ran, trace)
}

impl<const W: usize> Runner<'_, W> {
    fn run(&mut self) -> Result<Ran, Fault> {
        self.world.ledger.borrow_mut().hands.resize_with(self.plan.workers, Default::default);
        let crews = if self.plan.is_joined { 1 } else { self.plan.workers };
        for _ in 0..crews {
            self.crews.push((usize::MAX, Members::default()));
        }
        for worker in 0..self.plan.workers {
            self.crews[worker % crews].1.borrow_mut().push((worker, None));
            self.start(worker);
        }
        let mut ready = Vec::new();
        while !self.is_over() {
            self.world.ledger.borrow_mut().set_now(self.now());
            self.tasks.ready(&mut ready);
            let is_due = self.next_at().is_some_and(|at| at <= self.now());
            if !(ready.is_empty() || is_due && self.rng.percent(30)) {
                let task = self.rng.pick(&ready);
                self.poll(task);
            } else if is_due {
                self.outside();
            } else {
                self.rest();
            }
            if let Some(fault) = self.world.ledger.borrow_mut().fault.take() {
                return Err(fault);
            }
        }
        let stats = self.world.check();
        Ok(Ran {
            events: stats.emitted,
            attempts: stats.attempts,
            polls: self.tasks.polls(),
            micros: self.now(),
        })
    }

    fn now(&self) -> u64 {
        self.world.clock.micros()
    }

    fn fail(&self, rule: &'static str, detail: String) {
        self.world.ledger.borrow_mut().fail(rule, detail);
    }

    fn is_over(&self) -> bool {
        let ledger = self.world.ledger.borrow();
        self.stage == Stage::Closing
            && ledger.phase == Phase::Closed
            && ledger.hands.iter().all(|hand| hand.is_done)
            && ledger.waiting.is_empty()
            && ledger.drained_waiters + ledger.closed_waiters == 0
    }

    /// When the next thing from outside happens.
    fn next_at(&self) -> Option<u64> {
        let op = (self.next_op < self.plan.ops.len()).then_some(self.op_at);
        let restart = self.restarts.iter().map(|restart| restart.0).min();
        op.into_iter().chain(restart).min()
    }

    fn poll(&mut self, task: usize) {
        let control = self.control();
        let watches = !self.world.ledger.borrow().retrying.is_empty();
        let wakes = self.tasks.worker_wakes(Some(task));
        self.tasks.poll(task);
        self.world.check();
        let wakes = self.tasks.worker_wakes(Some(task)) - wakes;
        // A worker that is done with an event, or an emitter that found room, wakes at most one; but
        // a batch that comes back, or is full, is news for all. So is a place in flight, while there are
        // few after a recovery, or fewer than workers. One that waited for a next attempt and goes on to
        // something else lets another one wait in its stead.
        let is_slow = self.world.ledger.borrow().gate.window <= self.plan.workers + 1
            || usize::from(self.plan.config.max_in_flight) < self.plan.workers;
        let is_news = control != self.control() || self.plan.config.batch > 1 || is_slow || watches;
        if wakes > 1 && !is_news {
            self.fail("nobody is woken for nothing", format!("{wakes} workers"));
        }
        self.polls_at_once += 1;
        let things = self.tasks.len() + self.world.ledger.borrow().live.len();
        let bound = POLLS_AT_ONCE * (things as u64 + self.ops_at_once + 4);
        if self.polls_at_once > bound {
            let detail = format!("{} polls at one instant", self.polls_at_once);
            self.fail("no busy loop", detail);
        }
    }

    /// What all workers must hear of.
    fn control(&self) -> Control {
        let ledger = self.world.ledger.borrow();
        let Gate { epoch, asks, opens, .. } = ledger.gate;
        (ledger.phase, ledger.gate.state(), epoch, asks, opens)
    }

    /// Something happens from outside.
    fn outside(&mut self) {
        let now = self.now();
        self.ops_at_once += 1;
        if let Some(place) = self.restarts.iter().position(|restart| restart.0 <= now) {
            let (_, worker) = self.restarts.swap_remove(place);
            self.start(worker);
        } else {
            let (_, op) = self.plan.ops[self.next_op];
            self.next_op += 1;
            self.op_at = now + self.plan.ops.get(self.next_op).map_or(0, |op| op.0);
            self.op(op);
        }
        self.world.check();
    }

    fn op(&mut self, op: Op) {
        self.world.ledger.borrow_mut().note(|| format!("{op:?}"));
        match op {
            Op::Emit { length } => self.emit(length),
            Op::EmitMany { count, length } => {
                self.ops_at_once += count;
                (0..count).for_each(|_| self.emit(length));
            }
            Op::EmitWhenRoom { length } => {
                let data = self.data(length);
                let emitter = self.world.emitter(self.serial, data);
                let task = self.tasks.spawn(Role::Other, emitter);
                self.emitters.push((self.serial, task));
            }
            Op::CancelEmitter => self.cancel_emitter(),
            Op::Swap => self.world.swap(),
            Op::Clear => {
                self.is_pure = false;
                self.world.core.clear(self.world.now());
                self.world.ledger.borrow_mut().clear();
            }
            Op::Close => self.close(),
            Op::Weather(weather) => self.world.network.borrow_mut().weather = weather,
            Op::WallJump { millis } => self.world.clock.jump_wall(millis),
            Op::Kill { worker, restart } => self.kill(worker, restart),
            Op::Migrate { worker } => {
                let task = self.crew(worker).0;
                self.tasks.migrate(task);
            }
            Op::Drained => {
                let drained = self.world.drained();
                self.tasks.spawn(Role::Other, drained);
            }
            Op::Closed => {
                let closed = self.world.closed();
                self.tasks.spawn(Role::Other, closed);
            }
        }
    }

    fn data(&mut self, length: usize) -> String {
        self.serial += 1;
        format!("{}{}", self.serial, "x".repeat(length))
    }

    fn emit(&mut self, length: usize) {
        let data = self.data(length);
        let wakes = self.tasks.worker_wakes(None);
        self.world.emit(&data);
        let is_ripe = self.plan.config.batch > 1;
        if self.tasks.worker_wakes(None) > wakes + 1 && !is_ripe {
            self.fail("an emit wakes at most one worker", String::new());
        }
    }

    fn cancel_emitter(&mut self) {
        let world = Rc::clone(&self.world);
        self.emitters.retain(|(serial, _)| world.ledger.borrow().waiting.contains_key(serial));
        if self.emitters.is_empty() {
            return;
        }
        let (serial, task) = self.emitters.swap_remove(self.rng.index(self.emitters.len()));
        self.tasks.abort(task);
        self.world.ledger.borrow_mut().waiting.remove(&serial);
    }

    fn close(&mut self) {
        self.is_pure = false;
        self.world.core.close(self.world.now());
        self.world.ledger.borrow_mut().close();
        // Whoever is to come back does so at once, or nobody could keep the deadline.
        let now = self.now();
        self.restarts.iter_mut().for_each(|restart| restart.0 = now);
    }

    fn crew(&self, worker: usize) -> &(usize, Members) {
        &self.crews[worker % self.crews.len()]
    }

    fn slot(&self, worker: usize) -> usize {
        worker / self.crews.len()
    }

    fn kill(&mut self, worker: usize, restart: u64) {
        if !self.world.ledger.borrow().hands[worker].is_alive {
            return;
        }
        let future = self.crew(worker).1.borrow_mut()[self.slot(worker)].1.take();
        drop(future);
        self.world.ledger.borrow_mut().worker_vanishes(worker);
        let is_closing = matches!(self.world.ledger.borrow().phase, Phase::Closing { .. });
        self.restarts.push((self.now() + if is_closing { 0 } else { restart }, worker));
    }

    fn start(&mut self, worker: usize) {
        let is_last = worker + 1 == self.plan.workers;
        let buffer = if is_last { self.plan.last_buffer } else { self.plan.buffer };
        let future = self.world.worker(worker, buffer);
        let slot = self.slot(worker);
        let (task, members) = self.crew(worker).clone();
        members.borrow_mut()[slot].1 = Some(future);
        if self.plan.is_joined && task != usize::MAX {
            return self.tasks.nudge(task);
        }
        if task != usize::MAX {
            self.tasks.abort(task);
        }
        let crew = self.world.crew(members, self.plan.seed ^ self.serial);
        let crews = self.crews.len();
        self.crews[worker % crews].0 = self.tasks.spawn(Role::Worker, crew);
    }

    /// No task can run: time goes on, or the run does.
    fn rest(&mut self) {
        let now = self.now();
        let restarts = !self.restarts.is_empty();
        self.world.ledger.borrow_mut().at_rest(now, restarts);
        (self.polls_at_once, self.ops_at_once) = (0, 0);
        if self.next_at().is_none() && self.go_on() {
            return;
        }
        let timer = self.world.clock.next_timer();
        if let Some(at) = timer
            && self.op_at > at
            && self.rng.percent(15)
        {
            // Things happen together more often than by chance.
            self.op_at = at;
        }
        let next = self.next_at().into_iter().chain(timer).min();
        match next {
            Some(next) => self.world.clock.advance(next),
            None => self.fail("nothing gets stuck", format!("{:?}", self.core_stats())),
        }
    }

    fn gate_is_gone(&self) -> bool {
        self.world.ledger.borrow().gate.state() == BreakerState::Gone
    }

    fn core_stats(&self) -> Stats {
        self.world.core.stats()
    }

    /// The stages after the plan's ops; `false` when there is nothing to do but wait.
    fn go_on(&mut self) -> bool {
        let (phase, left) = {
            let ledger = self.world.ledger.borrow();
            (ledger.phase, ledger.live.len())
        };
        match self.stage {
            Stage::Ops if phase == Phase::Active && self.plan.ends_well => {
                self.world.network.borrow_mut().weather = Weather::Healthy;
                self.stage = Stage::Settling { until: self.now() + SETTLED_WITHIN };
            }
            Stage::Settling { .. } if left > 0 && self.gate_is_gone() => self.world.swap(),
            Stage::Settling { until } if left > 0 => {
                if self.now() > until {
                    self.fail("a receiver that is well gets everything", format!("{left} left"));
                }
                return false;
            }
            Stage::Closing => return false,
            Stage::Ops | Stage::Settling { .. } => {
                self.nothing_is_lost();
                self.stage = Stage::Closing;
                self.op(Op::Closed);
                self.close();
            }
        }
        true
    }

    /// With hold, and without a close or a clear.
    fn nothing_is_lost(&self) {
        let stats = self.core_stats();
        let settled = matches!(self.stage, Stage::Settling { .. });
        let holds = self.plan.config.on_open == OnOpen::Hold;
        // What no receiver takes is given up; the ledger has seen that it was that.
        let arrived = stats.delivered + stats.rejected + stats.exhausted;
        let arrived = arrived + stats.dropped + stats.oversize;
        if settled && holds && self.is_pure && arrived != stats.emitted {
            self.fail("hold loses nothing", format!("{stats:?}"));
        }
    }
}
