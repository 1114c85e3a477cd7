//! Board support for the webhook firmware, on two boards that QEMU emulates.
//!
//! | module | holds |
//! |---|---|
//! | [`board`] | the chosen board: clocks, vector table, its Ethernet port |
//! | [`net`] | `embassy-net` drivers for the LAN9118 and the Stellaris MAC, and the IP stack's start |
//! | [`executor`] | a thread-mode executor that sleeps with `WFI` |
//! | `time`, `timer` | the `embassy-time` driver on SysTick, and the boards' timers for its alarms |
//! | [`soft_interrupt`] | an interrupt that software raises |
//! | `heap` | the heap, with the feature `rustls` |
//! | `login` | how the node logs in to a NATS server, with the feature `nats` |
//! | [`host`] | what comes from the host by semihosting: console, arguments, files, time, entropy, exit |
//! | `meter` | how long the core was busy, with the feature of that name |
//! | [`stack`] | the peak of the stack |
//!
//! An image is a `#[cortex_m_rt::entry]` function that takes the [`board::Board`],
//! then hands its tasks to [`executor::run`]; `src/bin/tcp.rs` is the one to read.
#![no_std]

pub mod board;
pub mod executor;
mod fault;
#[cfg(feature = "rustls")]
pub mod heap;
pub mod host;
#[cfg(feature = "nats")]
pub mod login;
#[cfg(feature = "meter")]
pub mod meter;
mod mmio;
pub mod net;
pub mod soft_interrupt;
pub mod stack;
mod time;
mod timer;
