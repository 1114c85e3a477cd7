//! One life of a process, from its start to its end, however that comes.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a life may last. Arbitrary: the longest, on a slow disk, takes 51 s on an idle machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at what another process does.
const LOOK: Duration = Duration::from_millis(1);

pub(crate) struct Life {
    child: Child,
    begun: Instant,
    /// What it wrote to standard error so far.
    log: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

/// How it ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Life {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stderr, log) = (child.stderr.take().unwrap(), Arc::<Mutex<String>>::default());
        let lines = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, begun: Instant::now(), log, reader }
    }

    /// Where it takes POSTs, by its log. `None`: it ended before.
    pub(crate) fn address(&mut self) -> Option<SocketAddr> {
        let log = Arc::clone(&self.log);
        let find = || {
            let log = log.lock().unwrap();
            let (_, rest) = log.split_once("posted to http://")?;
            rest.split_once("/ ")?.0.parse().ok()
        };
        self.until(|| find().is_some());
        find()
    }

    pub(crate) const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until something is so; false when the process ends before.
    pub(crate) fn until(&mut self, mut is_so: impl FnMut() -> bool) -> bool {
        while !is_so() {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if self.begun.elapsed() > PATIENCE {
                let _ = self.child.kill();
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &pid]).stderr(Stdio::null()).status();
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        drop(self.child.stdin.take());
        let is_late = self.until(|| false) || self.begun.elapsed() > PATIENCE;
        let output = self.child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        self.reader.join().unwrap();
        let (stdout, stderr) = (text(output.stdout), self.log.lock().unwrap().clone());
        assert!(!is_late && !stderr.contains("panicked"), "{stdout}{stderr}");
        Ended { status: output.status, stdout, stderr }
    }
}

impl Ended {
    pub(crate) fn is_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }
}
