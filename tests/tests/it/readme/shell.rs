//! The shell blocks of the repository's README, and a shell that they can be pasted into.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pilot_webhook_tests::FreePort;
use tempfile::TempDir;

/// The port that the README's receiver listens on. Here it is a free one.
const PORT: &str = "8080";

/// Stands in for cargo, so that everything is built once, with the tests' profile and in their folder, and what is
/// installed is found on the path and nowhere else. The demo does not take its time.
///
/// Where `PILOT_WEBHOOKD` names a daemon that is built already, nothing is built: the receiver is beside it.
const CARGO: &str = r#"#!/usr/bin/env bash
set -euo pipefail
cd "$ROOT"
export CARGO_TARGET_DIR=$TARGET
# build PACKAGE: $program is where it is.
build() {
    if [[ ${PILOT_WEBHOOKD:-} ]]; then
        program=$(dirname "$PILOT_WEBHOOKD")/$1
    else
        "$REAL_CARGO" build --quiet --locked -p "$1"
        program=$CARGO_TARGET_DIR/debug/$1
    fi
}
case $* in
"install --locked --path "*)
    name=$(sed -n '0,/^name = "\(.*\)"$/s//\1/p' "$4/Cargo.toml")
    build "$name"
    ln -sf "$program" "$(dirname "$0")/$name"
    ;;
"run --release -p "*" -- demo")
    build "$4"
    "$program" demo --pace 20ms
    ;;
"test --workspace") ;; # This test is one of them.
*) echo "the README has a new command: cargo $*" >&2 && exit 1 ;;
esac
"#;

/// The blocks that are marked as shell, in order.
pub(crate) fn blocks() -> Vec<&'static str> {
    let readme = include_str!("../../../../README.md");
    let blocks = readme.split("\n```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default()).collect()
}

/// Whether it takes a compiler for the node.
pub(crate) fn is_firmware(block: &str) -> bool {
    block.contains("examples/firmware")
}

/// A shell in a folder that looks like a checkout, for files that the blocks make.
pub(crate) struct Shell {
    folder: TempDir,
    port: FreePort,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["examples", "tests"] {
            symlink(root().join(name), folder.path().join(name)).unwrap();
        }
        let cargo = folder.path().join("bin/cargo");
        fs::create_dir(cargo.parent().unwrap()).unwrap();
        fs::write(&cargo, CARGO).unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, port: FreePort::take().unwrap() }
    }

    /// Runs the block, each command of which must succeed. Returns what they said.
    #[track_caller]
    pub(crate) fn paste(&self, block: &str) -> String {
        let block = block.replace(PORT, &self.port.number().to_string());
        let path = std::env::var("PATH").unwrap();
        let script = format!("trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n{block}");
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &script]).current_dir(self.folder.path());
        bash.env("PATH", format!("{}:{path}", self.folder.path().join("bin").display()));
        bash.env("ROOT", root()).env("REAL_CARGO", env!("CARGO")).env("TARGET", target());
        // What cargo tells a test about its own crate: build scripts would take it for theirs, and run anew.
        let own =
            |name: &String| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars().filter(|(name, _)| own(name)) {
            bash.env_remove(name);
        }
        // The firmware's, which is never that of the workspace.
        bash.env_remove("CARGO_TARGET_DIR");
        bash.envs(
            std::env::var_os("PILOT_FIRMWARE_TARGET_DIR").map(|dir| ("CARGO_TARGET_DIR", dir)),
        );
        let output = bash.stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
        let said = said.concat();
        assert!(output.status.success(), "{}: {block}\n{said}", output.status);
        said
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Cargo's folder for what it builds, which this test lies in.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().to_owned()
}
