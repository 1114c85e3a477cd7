//! Fuzz targets: everything that reads bytes from outside, against independent oracles.
//!
//! A target is a module with a `run(&[u8])` that panics when something is wrong. Its documentation
//! names the oracle, and the differences that are known and right. `fuzz_targets/` hands each to
//! libFuzzer; the module `stable`, which exists in tests only, runs all on the stable toolchain.

pub mod certificates;
pub mod handshake;
pub mod http;
pub mod ingress;
pub mod ipc;
pub mod json_text;
pub mod ndjson;
pub mod payload;
mod pieces;
pub mod retry_after;
#[cfg(test)]
mod stable;
pub mod timestamp;
mod tls;
pub mod url;

/// Without libFuzzer, a target's program runs it on the files that it is given.
pub fn replay(run: fn(&[u8])) {
    for file in std::env::args_os().skip(1) {
        println!("{}", file.display());
        run(&std::fs::read(file).expect("a file to read"));
    }
}
