//! The library that is preloaded, and what it is told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// The library, built once; `None` without a C compiler.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/shim.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults.so");
        // Another process that builds it at the same time does not read half of it.
        let new = library.with_extension(std::process::id().to_string());
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&new).args([source, "-ldl"]);
        let is_built = compiler.status().is_ok_and(|status| status.success());
        is_built.then(|| std::fs::rename(new, &library).unwrap());
        is_built.then_some(library)
    };
    let library = LIBRARY.get_or_init(build).as_deref();
    if library.is_none() {
        eprintln!("SKIPPED: no C compiler named cc");
    }
    library
}

/// What happens at a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// The process dies before it.
    Kill,
    /// Half of what it writes is written, and the process dies.
    Tear,
    /// It fails with this number, and so do so many after it.
    Fail { error: i32, times: u32 },
}

/// What happens at the call `at`, from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) at: u64,
    pub(crate) what: What,
}

/// Preloads the library into a process to be, which then writes to `log` what it counted. False where that cannot
/// be done.
pub(crate) fn preload(command: &mut Command, fault: Fault, log: &Path) -> bool {
    let Some(library) = library() else { return false };
    command.env("LD_PRELOAD", library).env("FAULT_AT", fault.at.to_string()).env("FAULT_LOG", log);
    match fault.what {
        What::Kill => command.env("FAULT_DO", "kill"),
        What::Tear => command.env("FAULT_DO", "tear"),
        What::Fail { error, times } => command
            .env("FAULT_DISK", "1")
            .env("FAULT_ERRNO", error.to_string())
            .env("FAULT_TIMES", times.to_string()),
    };
    true
}

/// Preloads the library into a process to be, for which a disk takes `time` longer to synchronise a file. False where
/// that cannot be done.
pub(crate) fn slow_down(command: &mut Command, time: Duration) -> bool {
    let Some(library) = library() else { return false };
    command.env("LD_PRELOAD", library).env("FAULT_SLOW", time.as_millis().to_string());
    true
}

/// The calls at which the more costly faults happen: every fourth one, or with `PILOT_FAULTS=all` each.
pub(crate) fn some_calls() -> impl Iterator<Item = u64> {
    let is_all = std::env::var("PILOT_FAULTS").is_ok_and(|which| which == "all");
    (1..).step_by(if is_all { 1 } else { 4 })
}

/// Whether the library can be had.
pub(crate) fn is_there() -> bool {
    library().is_some()
}
