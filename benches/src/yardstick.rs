//! What an emit is measured by: steps that it cannot do without, in the same run. Times are a machine's; how many
//! times as long as this something takes is nearly the program's own.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use pilot_webhook_benches::events::BODY;

/// How often a step is done for one measurement.
const TIMES: u32 = 4_000;

/// A lock that nobody else holds, taken and given back. Nanoseconds.
pub(crate) fn lock() -> f64 {
    let lock = Mutex::new(0_u64);
    nanoseconds(|| *black_box(&lock).lock().unwrap_or_else(PoisonError::into_inner) += 1)
}

/// The wall clock read, and the bytes of a posted event copied under such a lock. Nanoseconds.
pub(crate) fn stamp_and_copy() -> f64 {
    let (event, queue) = ([1_u8; BODY], Mutex::new([0_u8; BODY]));
    nanoseconds(|| {
        black_box(SystemTime::now());
        let mut queue = black_box(&queue).lock().unwrap_or_else(PoisonError::into_inner);
        queue.copy_from_slice(black_box(&event));
        black_box(&mut *queue);
    })
}

fn nanoseconds(step: impl Fn()) -> f64 {
    let start = Instant::now();
    (0..TIMES).for_each(|_| step());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
}
