//! What a daemon writes to standard error, line by line.

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a line may take. Arbitrary, and far more than it takes on a loaded host: a test that would wait for ever fails
/// instead.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Log(mpsc::Receiver<String>);

impl Log {
    /// Takes the standard error of the daemon, which is read to its end, so that the daemon can go on writing.
    pub(crate) fn of(child: &mut Child) -> Self {
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Self(told)
    }

    /// Reads up to the line with these words.
    #[track_caller]
    pub(crate) fn wait_for(&self, words: &str) -> String {
        let mut passed = Vec::new();
        loop {
            let line = self.0.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {words:?} in the log: {passed:#?}"));
            if line.contains(words) {
                return line;
            }
            passed.push(line);
        }
    }

    /// Reads up to the line with these words; returns what follows them.
    #[track_caller]
    pub(crate) fn after(&self, words: &str) -> String {
        let line = self.wait_for(words);
        line.split_once(words).unwrap().1.to_owned()
    }
}
