//! What a package holds beside the program, and what a service manager is told.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pilot-webhookd");
const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/pilot-webhookd.service");

fn generate(what: &str, directory: &Path) {
    let status = Command::new(PROGRAM).args(["generate", what]).arg(directory).status().unwrap();
    assert!(status.success());
}

#[test]
fn every_command_has_a_manual_page_and_every_shell_its_completions() {
    let directory = tempfile::tempdir().unwrap();
    generate("man", directory.path());
    for page in ["", "-run", "-set-webhook", "-outbox", "-outbox-replay", "-generate-man"] {
        let page = directory.path().join(format!("pilot-webhookd{page}.1"));
        assert!(fs::read_to_string(&page).unwrap().contains(".SH SYNOPSIS"), "{}", page.display());
    }
    let run = fs::read_to_string(directory.path().join("pilot-webhookd-run.1")).unwrap();
    assert!(run.contains("outbox"));
    generate("completions", directory.path());
    let bash = fs::read_to_string(directory.path().join("pilot-webhookd.bash")).unwrap();
    assert!(bash.contains("--outbox"));
    assert!(directory.path().join("_pilot-webhookd").is_file());
}

#[test]
fn a_directory_that_is_missing_is_said() {
    let output =
        Command::new(PROGRAM).args(["generate", "man", "/nowhere/at/all"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/at/all: "));
}

#[test]
fn a_service_manager_hears_that_it_is_ready_alive_and_stopping() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["run", "--webhook", "http://127.0.0.1:9/secret-path", "--listen", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .env_remove("WATCHDOG_PID")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let hear = || {
        let mut buffer = [0; 4_096];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let until = |word: &str| {
        loop {
            let heard = hear();
            assert!(!heard.contains("secret-path"), "{heard}");
            if heard.lines().any(|line| line == word) {
                return;
            }
        }
    };
    until("READY=1");
    // The first may have come before.
    for _ in 0..3 {
        until("WATCHDOG=1");
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    until("STOPPING=1");
    assert!(child.wait().unwrap().success());
}

#[test]
fn systemd_takes_the_unit_and_finds_it_well_confined() {
    let analyze = |arguments: &[&str]| {
        Command::new("systemd-analyze").args(arguments).stdin(Stdio::null()).output()
    };
    if analyze(&["--version"]).is_err() {
        eprintln!("!!! SKIPPED: no systemd-analyze\n!!! to get it: apt-get install systemd");
        return;
    }
    // With this program in the place of the installed one, which need not be there.
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("pilot-webhookd.service");
    let text = fs::read_to_string(UNIT).unwrap().replace("/usr/local/bin/pilot-webhookd", PROGRAM);
    fs::write(&unit, text).unwrap();
    let unit = unit.to_str().unwrap();
    let verified = analyze(&["verify", "--man=no", unit]).unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !said.contains("pilot-webhookd.service"), "{said}");
    // 20 of 100: `OK` is up to 49.
    let secure = analyze(&["security", "--offline=true", "--threshold=20", "--no-pager", unit]);
    let secure = secure.unwrap();
    let said = String::from_utf8_lossy(&secure.stdout);
    assert!(secure.status.success() && said.contains("OK"), "{said}");
}
