//! Standard error that never blocks its writers: one thread writes to it, from a queue of fixed length. A
//! line that finds no room is dropped, and the number of dropped lines is logged when there is room again.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes of lines that wait, at most. Arbitrary: some thousand lines.
const MAX_BYTES: usize = 256 * 1024;

/// The line that says how many were left out.
type SayLeftOut = fn(u64) -> Vec<u8>;

static QUEUE: OnceLock<Option<Arc<Queue>>> = OnceLock::new();

/// Has left out lines said in this way. Before the first line.
pub(crate) fn start(say: SayLeftOut) {
    queue(say);
}

/// Writes a line soon, or leaves it out. Never waits.
pub(crate) fn line(text: &[u8]) {
    match queue(in_plain_text) {
        Some(queue) => queue.push(text, MAX_BYTES),
        // Without a thread it has to be done here. Where it cannot be said, there is nobody to tell.
        None => drop(io::stderr().write_all(text)),
    }
}

/// Writes the last line, and waits for it and all lines before, but no longer than `limit`.
pub(crate) fn last_line(text: &[u8], limit: Duration) {
    match queue(in_plain_text) {
        Some(queue) => {
            queue.push(text, usize::MAX);
            queue.flush(limit);
        }
        None => drop(io::stderr().write_all(text)),
    }
}

/// Waits until all lines are written, but no longer than `limit`.
pub(crate) fn flush(limit: Duration) {
    if let Some(Some(queue)) = QUEUE.get() {
        queue.flush(limit);
    }
}

fn in_plain_text(left_out: u64) -> Vec<u8> {
    format!("{left_out} lines left out\n").into_bytes()
}

fn queue(say: SayLeftOut) -> Option<&'static Arc<Queue>> {
    let queue = || {
        let queue = Arc::new(Queue::new(say));
        let writer = Arc::clone(&queue);
        let thread = thread::Builder::new().name("stderr".to_owned());
        thread.spawn(move || writer.write_all_to(io::stderr())).ok()?;
        Some(queue)
    };
    QUEUE.get_or_init(queue).as_ref()
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    say_left_out: SayLeftOut,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    left_out: u64,
    is_writing: bool,
}

impl State {
    fn add(&mut self, line: Vec<u8>) {
        self.bytes += line.len();
        self.lines.push_back(line);
    }
}

impl Queue {
    fn new(say_left_out: SayLeftOut) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), say_left_out }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8], max_bytes: usize) {
        let mut state = self.state();
        if state.bytes.saturating_add(line.len()) > max_bytes {
            state.left_out += 1;
            return;
        }
        self.tell_of_left_out(&mut state);
        state.add(line.to_vec());
        drop(state);
        self.changed.notify_all();
    }

    fn tell_of_left_out(&self, state: &mut State) {
        if state.left_out > 0 {
            let line = (self.say_left_out)(std::mem::take(&mut state.left_out));
            state.add(line);
        }
    }

    /// The next line. Waits for one.
    fn next(&self) -> Vec<u8> {
        let mut state = self.state();
        state.is_writing = false;
        self.changed.notify_all();
        loop {
            if state.lines.is_empty() {
                self.tell_of_left_out(&mut state);
            }
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len();
                state.is_writing = true;
                return line;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write_all_to(&self, mut out: impl Write) {
        loop {
            // Who closed it does not want to see it.
            let _ = out.write_all(&self.next());
        }
    }

    fn flush(&self, limit: Duration) {
        let is_behind = |state: &mut State| state.is_writing || !state.lines.is_empty();
        drop(self.changed.wait_timeout_while(self.state(), limit, is_behind));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes a line when the test lets it.
    struct Reluctant(mpsc::Receiver<()>, mpsc::Sender<String>);

    impl Write for Reluctant {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.send(String::from_utf8(line.to_vec()).unwrap()).map_err(io::Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_left_out_is_said_in_its_place_when_lines_flow_again() {
        let (go, may_go) = mpsc::channel();
        let (written, lines) = mpsc::channel();
        let queue = Arc::new(Queue::new(in_plain_text));
        let writer = Arc::clone(&queue);
        thread::spawn(move || writer.write_all_to(Reluctant(may_go, written)));
        let next = || {
            go.send(()).unwrap();
            lines.recv().unwrap()
        };
        let push = |line: &str| queue.push(line.as_bytes(), 4);
        push("1\n");
        // It is with the writer now.
        while !queue.state().is_writing {
            thread::yield_now();
        }
        for line in ["2\n", "3\n", "4\n", "5\n"] {
            push(line);
        }
        queue.flush(Duration::ZERO);
        assert_eq!([next(), next()], ["1\n", "2\n"]);
        while queue.state().bytes > 0 {
            thread::yield_now();
        }
        push("6\n");
        let rest = [(); 3].map(|()| next());
        assert_eq!(rest, ["3\n", "2 lines left out\n", "6\n"]);
        queue.flush(Duration::MAX);
    }
}
