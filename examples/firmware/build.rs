//! Puts the linker scripts of the chosen board where the linker looks for them.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let chosen = |feature: &str| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    // No board or two boards: `src/board/mod.rs` says so, in the compiler's words.
    let board = if chosen("BOARD_LM3S6965") { "lm3s6965" } else { "an386" };

    let scripts = PathBuf::from("boards").join(board);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    for name in ["memory.x", "device.x"] {
        let script = scripts.join(name);
        fs::copy(&script, out.join(name))?;
        println!("cargo:rerun-if-changed={}", script.display());
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-search={}", out.display());

    // cortex-m-rt's script; it includes the two above.
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    // No padding to a host's page size between the sections.
    println!("cargo:rustc-link-arg-bins=--nmagic");
    Ok(())
}
