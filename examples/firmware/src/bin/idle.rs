//! The executor and the time driver alone, as a baseline for `engine`.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_time::Timer;
use firmware::{board::Board, executor, host, println, stack};

#[entry]
fn main() -> ! {
    let _board = Board::take();
    executor::run(|_| task())
}

#[embassy_executor::task]
async fn task() {
    Timer::after_millis(1).await;
    println!("stack: peak {} of {} bytes", stack::peak(), stack::size());
    host::exit(0)
}
