//! Ends a program that cannot go on: with a line on the console and an exit status.

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};

use crate::{host, println};

/// The exit status of a panic, as on a host.
const PANICKED: u8 = 101;
/// The exit status of a fault of the processor.
const FAULTED: u8 = 102;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("{info}");
    host::exit(PANICKED)
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    println!("hard fault at {:#010x}, called from {:#010x}", frame.pc(), frame.lr());
    host::exit(FAULTED)
}

/// Every exception and interrupt that nothing else handles.
#[exception]
unsafe fn DefaultHandler(number: i16) -> ! {
    println!("unexpected exception or interrupt {number}");
    host::exit(FAULTED)
}
