//! What the host gives by semihosting: console, arguments, files, time, entropy, exit.
//!
//! A semihosting call stops the core at a breakpoint for the emulator or a debugger to
//! answer. On a board with nothing attached it ends in a hard fault: a product brings
//! its own console, clock and random number generator instead of this module.

mod args;
mod clock;
mod console;
mod entropy;
mod semihosting;

pub use args::{Args, BadValue};
pub use clock::WallClock;
#[doc(hidden)]
pub use console::print_line;
pub use entropy::{Entropy, seed};
pub use semihosting::{Error, exit, read_file};
