//! What belongs to the whole process: its descriptors, the processor time of its threads, who gets its log lines. So it is
//! no part of `it`, and its tests run one after the other.
#![allow(clippy::unwrap_used, reason = "a failed test says where and why at once")]

mod leaks;
mod logs;
#[cfg(feature = "outbox")]
mod outbox_idle;
#[cfg(feature = "outbox")]
mod outbox_logs;
#[path = "../it/support.rs"]
#[allow(dead_code, reason = "`it` uses the rest")]
mod support;

use tokio::sync::{Mutex, MutexGuard};

/// The process, for the test that holds this.
async fn process() -> MutexGuard<'static, ()> {
    static PROCESS: Mutex<()> = Mutex::const_new(());
    PROCESS.lock().await
}
