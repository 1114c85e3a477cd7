//! A thread-mode executor that sleeps with `WFI`.
//!
//! `embassy-executor` brings one that sleeps with `WFE`; QEMU emulates `WFE` as a
//! yield, so that an idle node takes a whole core of the host.

use core::{
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

use embassy_executor::{SpawnError, SpawnToken, Spawner, raw};
use static_cell::StaticCell;

/// Set by a waker, in a task or an interrupt; cleared by the loop that polls.
static WORK: AtomicBool = AtomicBool::new(false);

/// The name and signature that `embassy_executor::raw` asks for.
#[unsafe(export_name = "__pender")]
fn pender(_context: *mut ()) {
    WORK.store(true, Ordering::Release);
}

/// Runs the first task, which `init` makes, and those that it spawns, for ever. To be
/// called once, from `main`.
///
/// # Panics
///
/// If `init` fails, as it does for a task that is already running.
pub fn run<S>(init: impl FnOnce(Spawner) -> Result<SpawnToken<S>, SpawnError>) -> ! {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();
    let executor: &'static raw::Executor =
        EXECUTOR.init_with(|| raw::Executor::new(ptr::null_mut()));
    let spawner = executor.spawner();
    #[expect(clippy::expect_used, reason = "nothing runs yet that could handle it")]
    spawner.spawn(init(spawner).expect("the first task spawns"));
    loop {
        // SAFETY: this loop is the only caller (the cell gives the executor out once)
        // and is not re-entered: the pender only sets a flag.
        let poll = || unsafe { executor.poll() };
        #[cfg(feature = "meter")]
        crate::meter::poll(poll);
        #[cfg(not(feature = "meter"))]
        poll();
        sleep_unless_woken();
    }
}

/// Sleeps until the next interrupt, if no task became ready since the last poll.
fn sleep_unless_woken() {
    // Interrupts are held back between the look and the sleep, so that none can wake
    // a task in the gap and then be slept over. `WFI` returns all the same when one
    // becomes pending; its handler runs as the section ends.
    critical_section::with(|_| {
        if !WORK.swap(false, Ordering::Acquire) {
            let sleep = || {
                cortex_m::asm::dsb();
                cortex_m::asm::wfi();
            };
            #[cfg(feature = "meter")]
            crate::meter::sleep(sleep);
            #[cfg(not(feature = "meter"))]
            sleep();
        }
    });
}
