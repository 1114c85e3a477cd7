//! The smallest image: prints a line and exits. Its size is that of the runtime.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware::{board, host, println};

#[entry]
fn main() -> ! {
    println!("hello from {}", board::NAME);
    host::exit(0)
}
