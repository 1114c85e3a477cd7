//! The `embassy-time` driver: SysTick keeps the time, a timer of the board's gives the alarms.
//!
//! SysTick counts core cycles down, in 24 bits, and begins anew by itself. Nothing ever
//! stops or sets it, so no cycle is lost. Its ends are counted in its interrupt or, should
//! that be held back, by whoever asks for the time next; time stays right as long as one
//! or the other happens once in [`PERIOD`] (335 ms at 50 MHz).
//!
//! Why not SysTick alone: it has no compare register, so an alarm would have to restart
//! it. That loses a few cycles each time, and under QEMU on a busy host so many that the
//! clock was seen to run at three quarters of its speed.

use core::{cell::RefCell, task::Waker};

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use embassy_sync::blocking_mutex::CriticalSectionMutex;
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

use crate::board::{Alarm, CORE_HZ};

/// Cycles in one tick of `embassy-time`.
const CYCLES_PER_TICK: u64 = CORE_HZ as u64 / TICK_HZ;
const _: () = assert!(CYCLES_PER_TICK > 0 && (CORE_HZ as u64).is_multiple_of(TICK_HZ));

/// Cycles from one end of the counter to the next, as many as 24 bits allow (Armv7-M ARM,
/// B3.3).
const PERIOD: u32 = 1 << 24;

embassy_time_driver::time_driver_impl!(static DRIVER: SysTickDriver = SysTickDriver::new());

/// Starts time. To be called once, when the core runs at [`CORE_HZ`].
pub(crate) fn start(systick: SYST, alarm: Alarm) {
    DRIVER.with(|state| {
        state.clock = Some(Clock { counter: Counter::start(systick), alarm });
        state.set_alarm();
    });
}

/// Cycles of the core since time was started.
#[cfg(feature = "meter")]
pub(crate) fn cycles() -> u64 {
    DRIVER.with(|state| state.clock.as_mut().map_or(0, |clock| clock.counter.now()))
}

/// To be called by the handler of the alarm's interrupt.
pub(crate) extern "C" fn on_alarm() {
    DRIVER.with(State::set_alarm);
}

/// The interrupt at the end of the counter.
#[exception]
fn SysTick() {
    DRIVER.with(State::now);
}

struct SysTickDriver(CriticalSectionMutex<RefCell<State>>);

impl SysTickDriver {
    const fn new() -> Self {
        let state = State { clock: None, queue: Queue::new() };
        Self(CriticalSectionMutex::new(RefCell::new(state)))
    }

    /// No caller nests: what runs inside, a task's waker included, never comes back here.
    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        self.0.lock(|state| work(&mut state.borrow_mut()))
    }
}

impl Driver for SysTickDriver {
    fn now(&self) -> u64 {
        self.with(State::now)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        self.with(|state| {
            if state.queue.schedule_wake(at, waker) {
                state.set_alarm();
            }
        });
    }
}

struct State {
    /// None until [`start`]; time stands at zero until then.
    clock: Option<Clock>,
    queue: Queue,
}

struct Clock {
    counter: Counter,
    alarm: Alarm,
}

impl State {
    /// The time in ticks.
    fn now(&mut self) -> u64 {
        self.clock.as_mut().map_or(0, |clock| clock.counter.now() / CYCLES_PER_TICK)
    }

    /// Wakes what is due, and sets the alarm for what is due next.
    fn set_alarm(&mut self) {
        let now = self.now();
        let next = self.queue.next_expiration(now);
        let Some(Clock { counter, alarm }) = &mut self.clock else { return };
        if next == u64::MAX {
            return alarm.stop();
        }
        let wait = next.saturating_mul(CYCLES_PER_TICK).saturating_sub(counter.now());
        // One that is too long for the timer comes early, finds nothing due, and is set
        // again.
        alarm.set(u32::try_from(wait).unwrap_or(u32::MAX).max(1));
    }
}

/// SysTick, extended to 64 bits.
struct Counter {
    systick: SYST,
    /// The time in cycles at which the counter began anew last.
    began: u64,
}

impl Counter {
    fn start(mut systick: SYST) -> Self {
        systick.set_clock_source(SystClkSource::Core);
        systick.enable_interrupt();
        systick.set_reload(PERIOD - 1);
        systick.clear_current();
        systick.enable_counter();
        // It stands at zero until it takes over its reload value.
        while SYST::get_current() == 0 {}
        Self { systick, began: 0 }
    }

    /// Cycles since the start.
    fn now(&mut self) -> u64 {
        loop {
            let left = SYST::get_current();
            // In this order: an end seen here may have come before or after the look at
            // the counter, so look again. No end seen: `left` is of the present period.
            // Reading the flag clears it.
            if self.systick.has_wrapped() {
                self.began += u64::from(PERIOD);
            } else if left != 0 {
                return self.began + u64::from(PERIOD - left);
            }
            // Zero is the old period's last value or the new one's first. It lasts for a
            // cycle, or under QEMU until its main loop has run.
        }
    }
}
