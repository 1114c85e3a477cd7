//! The firmware in QEMU, as a child process.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use pilot_webhook_tests::PLACES;
use serde_json::Value;
use tokio::sync::watch;

/// Where the host's loopback is in the emulated network.
pub(crate) const HOST: &str = "10.0.2.2";
/// What the node signs with.
pub(crate) const SECRET: &str = "hush";
/// Set to 1, a missing compiler or emulator is a failure.
const REQUIRE: &str = "PILOT_REQUIRE_FIRMWARE";
/// Where the images are built, if not in the firmware's own folder.
const TARGET_DIR: &str = "PILOT_FIRMWARE_TARGET_DIR";
/// A run takes seconds. What takes this long is stuck.
const STUCK: Duration = Duration::from_secs(120);
/// What an attempt may take unless a test says otherwise: on a loaded host the node's own five seconds
/// were seen to pass without anything being wrong.
const PATIENCE: &str = "timeout_ms=60000";
/// Emulators at a time.
const PARALLEL: usize = 2;

/// An image, of the program `webhook`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Image {
    /// For the larger board, with TLS and signatures of Standard Webhooks.
    An386,
    /// For the larger board, with embedded-tls and all kinds of certificates.
    An386Public,
    /// The same with rustls.
    An386Rustls,
    /// For the larger board, into a NATS stream, without TLS, and with logins by keys.
    An386Nats,
    /// The same over TLS by rustls.
    An386NatsRustls,
    /// For the small board, without.
    Lm3s6965,
    /// For the small board, with TLS and a small record buffer.
    Lm3s6965Tls,
}

impl Image {
    const fn board(self) -> &'static str {
        match self {
            Self::Lm3s6965 | Self::Lm3s6965Tls => "lm3s6965",
            _ => "an386",
        }
    }

    const fn target(self) -> &'static str {
        match self {
            Self::Lm3s6965 | Self::Lm3s6965Tls => "thumbv7m-none-eabi",
            _ => "thumbv7em-none-eabihf",
        }
    }

    const fn features(self) -> &'static str {
        match self {
            Self::An386 => "sntp,standard-webhooks,tls",
            Self::An386Public => "p384,rsa,sntp,tls",
            Self::An386Rustls => "p384,rsa,rustls,sntp",
            Self::An386Nats => "nkeys",
            Self::An386NatsRustls => "nkeys,rustls",
            Self::Lm3s6965Tls => "sntp,tls",
            Self::Lm3s6965 => "",
        }
    }

    /// Whether it is there: built, once. Where it cannot be built or run the tester is told.
    ///
    /// # Panics
    /// When it does not compile, or when it is required and cannot be built or run.
    pub(crate) fn is_there(self) -> bool {
        self.path().is_some()
    }

    /// Names where it is, for a test that runs itself in another process.
    pub(crate) fn variable(self) -> String {
        format!("PILOT_TEST_IMAGE_{self:?}")
    }

    pub(crate) fn path(self) -> Option<PathBuf> {
        static PATHS: [OnceLock<Option<PathBuf>>; 7] = [const { OnceLock::new() }; 7];
        let build = || match (std::env::var_os(self.variable()), missing(self.target())) {
            (Some(path), _) => Some(path.into()),
            (None, None) => Some(self.build()),
            (None, Some(reason)) => {
                assert!(!is_required(), "{self:?}: {reason}");
                skipped(&format!("the tests of the firmware {self:?}"), &reason);
                None
            }
        };
        PATHS[self as usize].get_or_init(build).clone()
    }

    fn build(self) -> PathBuf {
        // Images of one board are built at the same place.
        static BUILDING: Mutex<()> = Mutex::new(());
        let _building = lock(&BUILDING);
        let mut command = run_sh();
        command.env("FEATURES", self.features());
        let output = command.args(["build", "--board", self.board(), "webhook"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the firmware {self:?} was not built:\n{said}");
        let built = target_dir().join(self.target()).join("release/webhook");
        let kept = target_dir().join(format!("webhook-{self:?}"));
        std::fs::copy(built, &kept).unwrap();
        kept
    }
}

/// Says, loudly, that tests are skipped.
pub(crate) fn skipped(what: &str, reason: &str) {
    // Not `eprintln`, which the test harness keeps to itself.
    let _ = writeln!(
        std::io::stderr(),
        "\n!!! SKIPPED: {what}\n!!! {}\n",
        reason.trim().replace('\n', "\n!!! ")
    );
}

fn is_required() -> bool {
    std::env::var_os(REQUIRE).is_some_and(|value| value == "1")
}

fn firmware() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/firmware")
}

fn target_dir() -> PathBuf {
    std::env::var_os(TARGET_DIR).map_or_else(|| firmware().join("target"), PathBuf::from)
}

/// `run.sh`, not yet told what to do.
pub(crate) fn run_sh() -> Command {
    let mut command = Command::new("bash");
    command.arg(firmware().join("run.sh"));
    command.env("CARGO_TARGET_DIR", target_dir());
    command
}

/// What is missing to build for a target and to run that.
fn missing(target: &str) -> Option<String> {
    let qemu = std::env::var_os("QEMU").unwrap_or_else(|| OsString::from("qemu-system-arm"));
    let script = "source ./toolchain.sh && have_compiler_for \"$0\"";
    let mut compiler = Command::new("bash");
    compiler.current_dir(firmware()).args(["-c", script, target]);
    [Command::new(qemu).arg("--version"), &mut compiler].into_iter().find_map(|command| {
        match command.stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Some(format!("{}: {error}", command.get_program().display())),
        }
    })
}

/// What a node said so far, and its exit status.
#[derive(Default)]
struct Said {
    lines: Vec<String>,
    end: Option<Option<i32>>,
}

/// A node that runs. Dropped, it is switched off.
pub(crate) struct Node {
    group: u32,
    said: watch::Receiver<Said>,
    _turn: Turn,
}

impl Node {
    /// Starts an image with these arguments, when an emulator is free.
    pub(crate) async fn start(image: Image, arguments: &[String]) -> Self {
        Self::start_with(image, arguments, &[]).await
    }

    /// The same with more variables for `run.sh`.
    pub(crate) async fn start_with(
        image: Image,
        arguments: &[String],
        variables: &[(&str, String)],
    ) -> Self {
        let turn = tokio::task::spawn_blocking(Turn::take).await.unwrap();
        let mut command = run_sh();
        command.args(["qemu", image.board()]).arg(image.path().unwrap());
        // The last one of a key counts.
        command.arg(PATIENCE).args(arguments);
        command.arg(format!("secret={SECRET}"));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, to end the emulator along with the script.
        command.process_group(0);
        let mut child = command.spawn().unwrap();
        let (out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (tell, said) = watch::channel(Said::default());
        let group = child.id();
        thread::spawn(move || {
            // It says little there, if anything.
            let mut errors = String::new();
            for line in BufReader::new(out).lines() {
                let Ok(line) = line else { break };
                tell.send_modify(|said| said.lines.push(line));
            }
            let _ = err.read_to_string(&mut errors);
            let status = child.wait().unwrap();
            tell.send_modify(|said| {
                said.lines.extend(errors.lines().map(str::to_owned));
                said.end = Some(status.code());
            });
        });
        Self { group, said, _turn: turn }
    }

    /// Waits until it has said this line.
    pub(crate) async fn line(&mut self, line: &str) {
        self.wait(line, |said| said.lines.iter().any(|found| found == line)).await;
    }

    /// Waits until it ends, which it must do with its events accounted for, and with a status that says whether all
    /// were delivered.
    pub(crate) async fn end(mut self) -> Report {
        self.wait("its end", |said| said.end.is_some()).await;
        let said = self.said.borrow();
        let lines = said.lines.clone();
        let text = lines.join("\n");
        let stats = lines.iter().find_map(|line| line.strip_prefix("stats: "));
        let stats = stats.unwrap_or_else(|| panic!("no stats:\n{text}"));
        let report = Report { stats: serde_json::from_str(stats).unwrap(), lines };
        report.check_law();
        let is_lost = report.count("emitted") > report.count("delivered");
        let status = if is_lost { 3 } else { 0 };
        assert_eq!(
            said.end,
            Some(Some(status)),
            "the exit status; it said:
{text}"
        );
        assert_eq!(text.contains("failed: not every event was delivered"), is_lost, "{text}");
        report
    }

    async fn wait(&mut self, what: &str, condition: impl Fn(&Said) -> bool) {
        let waited = tokio::time::timeout(STUCK, self.said.wait_for(|said| condition(said))).await;
        let came = waited.is_ok_and(|result| result.is_ok());
        assert!(came, "{what} did not come:\n{}", self.said.borrow().lines.join("\n"));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.said.borrow().end.is_none() {
            // The script and the emulator, which are a group.
            let group = format!("-{}", self.group);
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a node said until its end.
pub(crate) struct Report {
    pub(crate) lines: Vec<String>,
    stats: Value,
}

impl Report {
    /// One of its counters.
    #[track_caller]
    pub(crate) fn count(&self, key: &str) -> u64 {
        self.stats[key].as_u64().unwrap_or_else(|| panic!("no {key}: {}", self.stats))
    }

    /// What it said about attempts and the breaker, in order.
    pub(crate) fn story(&self) -> Vec<&str> {
        let told = |line: &&str| line.starts_with("event ") || line.starts_with("breaker: ");
        self.lines.iter().map(String::as_str).filter(told).collect()
    }

    /// Every event is in one place, and at the end none waits.
    #[track_caller]
    fn check_law(&self) {
        let sum: u64 = PLACES.into_iter().map(|key| self.count(key)).sum();
        assert_eq!(self.count("emitted"), sum, "{}", self.stats);
        assert_eq!((self.count("queued"), self.count("in_flight")), (0, 0), "{}", self.stats);
    }
}

/// Leave to run an emulator.
struct Turn;

static FREE: (Mutex<usize>, Condvar) = (Mutex::new(PARALLEL), Condvar::new());

impl Turn {
    fn take() -> Self {
        let free = FREE.1.wait_while(lock(&FREE.0), |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *lock(&FREE.0) += 1;
        FREE.1.notify_one();
    }
}
