//! The receiver's program, as senders and scripts meet it. All files are one program, as it is built and linked once.
#![allow(clippy::unwrap_used, reason = "a failed test should say where and why at once")]

mod tls;
mod usage;
