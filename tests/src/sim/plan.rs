//! What happens in a run: all of it is made from the seed before anything starts, so that a
//! failing run can be cut down by leaving things out.

use std::time::Duration;

use pilot_webhook_core::{Backoff, Config, LongWaits, OnFull, OnOpen, PilotFormat, Rate, Schedule};

use super::rng::Rng;

/// The longest payload in all runs.
pub(crate) const MAX_EVENT_BYTES: usize = 120;
/// The shortest buffer for all of them.
const LEAST_BUFFER: usize = PilotFormat::BOUND.buffer(1, MAX_EVENT_BYTES);

/// The condition of the receiver and the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Every post is answered 2xx in no time.
    Healthy,
    /// Everything that can happen does.
    Mixed,
    /// 5xx, 408, 425.
    Failing,
    /// No connection, or it breaks.
    Down,
    /// Answers take longer than the timeout, or never come.
    Hanging,
    /// 429 and 503 with a `Retry-After` of up to a minute.
    Busy,
    /// The same with a `Retry-After` of up to two hours.
    Overloaded,
}

/// Something that happens to the dispatcher from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Emit {
        length: usize,
    },
    EmitMany {
        count: u64,
        length: usize,
    },
    EmitWhenRoom {
        length: usize,
    },
    CancelEmitter,
    Swap,
    Clear,
    Close,
    Weather(Weather),
    WallJump {
        millis: i64,
    },
    /// A worker's future is dropped, wherever it is, and a new one started after that time.
    Kill {
        worker: usize,
        restart: u64,
    },
    /// A worker's future moves to another task.
    Migrate {
        worker: usize,
    },
    /// Someone waits for the queue to be empty.
    Drained,
    /// Someone waits for the end.
    Closed,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) config: Config,
    pub(crate) queue_bytes: usize,
    pub(crate) workers: usize,
    /// The dispatcher's lists of wakers have room for 1, 2 or 4.
    pub(crate) slots: usize,
    /// All workers run within one task, so that one waker stands for all.
    pub(crate) is_joined: bool,
    /// The workers' buffers.
    pub(crate) buffer: usize,
    /// The last worker's; the others' are long enough for any event.
    pub(crate) last_buffer: usize,
    /// The receiver takes no longer bodies.
    pub(crate) receiver_longest: usize,
    pub(crate) timer_grain: u64,
    /// Whether the receiver is well in the end and is waited for before the close.
    pub(crate) ends_well: bool,
    /// The ops, each so many microseconds after the one before.
    pub(crate) ops: Vec<(u64, Op)>,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = &mut Rng::new(seed, 1);
        let workers: usize = rng.pick(&[1, 1, 2, 2, 3, 4]);
        let slots = rng.pick(&[1, 2, 4, 4]).max(workers.next_power_of_two());
        let config = config(rng, workers);
        let buffer =
            if config.batch > 1 { rng.pick(&[LEAST_BUFFER, 700, 7_000]) } else { LEAST_BUFFER };
        let count = rng.pick(&[10, 30, 60]);
        // Some runs are of one kind of thing only, so that it is looked at in peace.
        let calm = rng.percent(40);
        let mut ops = vec![(0, Op::Swap)];
        ops.extend((0..count).map(|_| (pause(rng), op(rng, workers, slots, calm))));
        let mut plan = Self {
            seed,
            config,
            queue_bytes: rng.pick(&[80, 200, 500, 20_000, 20_000]),
            workers,
            slots,
            is_joined: rng.percent(15),
            buffer,
            last_buffer: if rng.percent(4) { 190 } else { buffer },
            receiver_longest: rng.pick(&[usize::MAX, usize::MAX, 300, 130]),
            timer_grain: rng.pick(&[1, 1, 1, 1_000, 15_625]),
            ends_well: rng.percent(70),
            ops,
        };
        if plan.last_buffer < plan.buffer {
            // It gives back messages that are too long for it: which of them is seen by when they are due.
            plan.config.backoff.jitter_percent = 0;
        }
        plan
    }
}

fn config(rng: &mut Rng, workers: usize) -> Config {
    let millis = |rng: &mut Rng, of: &[u64]| Duration::from_millis(rng.pick(of));
    let schedule = schedule(rng);
    Config {
        max_attempts: rng.pick(&[1, 2, 3, 3, 4]),
        backoff: Backoff {
            initial: millis(rng, &[10, 100, 1_000, 1_000]),
            jitter_percent: rng.pick(&[0, 0, 0, 25, 100]),
        },
        schedule,
        // Slow enough to matter, and fast enough for all events in the time that there is.
        rate: rng.pick(&[
            Rate::UNLIMITED,
            Rate::UNLIMITED,
            Rate::UNLIMITED,
            per_second(1),
            per_second(50),
        ]),
        http_timeout: millis(rng, &[500, 5_000]),
        drain_timeout: millis(rng, &[0, 1_000, 5_000, 5_000]),
        circuit_threshold: rng.pick(&[1, 2, 5]),
        circuit_cooldown: millis(rng, &[0, 300, 2_000, 30_000]),
        on_open: rng.pick(&[OnOpen::Skip, OnOpen::Hold]),
        on_full: rng.pick(&[OnFull::DropNewest, OnFull::DropOldest]),
        capacity: rng.pick(&[1, 2, 3, 8, 1_000, u32::MAX]),
        max_event_bytes: MAX_EVENT_BYTES,
        batch: rng.pick(&[1, 1, 1, 2, 5, 100]),
        batch_delay: millis(rng, &[0, 0, 3, 700]),
        max_in_flight: u16::try_from(rng.pick(&[1, workers, workers])).unwrap(),
        long_waits: rng.pick(&[LongWaits::Cut, LongWaits::Cut, LongWaits::Keep]),
    }
}

fn per_second(attempts: u32) -> Rate {
    Rate::new(attempts, Duration::from_secs(1)).unwrap()
}

fn schedule(rng: &mut Rng) -> Option<Schedule> {
    const LISTS: &[&[u64]] =
        &[&[], &[], &[], &[], &[10], &[100, 2_000, 10], &[5_000, 300_000, 1_800_000]];
    let waits = rng.pick(LISTS);
    Schedule::new(&waits.iter().map(|wait| Duration::from_millis(*wait)).collect::<Vec<_>>())
}

fn pause(rng: &mut Rng) -> u64 {
    match rng.below(100) {
        0..30 => 0,
        30..60 => rng.below(5_000),
        60..85 => rng.below(500_000),
        85..97 => rng.below(5_000_000),
        _ => rng.below(100_000_000),
    }
}

fn op(rng: &mut Rng, workers: usize, slots: usize, calm: bool) -> Op {
    use Weather::{Busy, Down, Failing, Hanging, Healthy, Mixed, Overloaded};
    let longest = if rng.percent(10) { 200 } else { 40 };
    let length = rng.index(longest);
    let weather = [Healthy, Healthy, Mixed, Mixed, Mixed, Failing, Down, Hanging, Busy, Overloaded];
    match rng.below(100) {
        0..35 => Op::Emit { length },
        35..43 => Op::EmitMany { count: rng.between(2, 20), length },
        43..55 if slots > 0 => Op::EmitWhenRoom { length },
        55..58 => Op::CancelEmitter,
        58..75 => Op::Weather(rng.pick(&weather)),
        75..78 => Op::Drained,
        78..80 => Op::Closed,
        _ if calm => Op::Emit { length },
        80..86 => {
            let restart = rng.pick(&[0, 0, 1_000, 2_000_000]);
            Op::Kill { worker: rng.index(workers), restart }
        }
        86..88 => Op::Migrate { worker: rng.index(workers) },
        88..90 => {
            let hours = i64::try_from(rng.below(6)).unwrap() - 3;
            Op::WallJump { millis: hours * 3_600_000 + 123 }
        }
        90..96 => Op::Swap,
        96..99 => Op::Clear,
        _ => Op::Close,
    }
}
