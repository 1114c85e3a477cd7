//! The least image: prints a line and exits. What it takes is what the runtime takes.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware::{board, host, println};

#[entry]
fn main() -> ! {
    println!("hello from {}", board::NAME);
    host::exit(0)
}
