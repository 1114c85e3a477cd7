//! What goes wrong, when, and for how long: decided by a seed before it begins.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use pilot_webhook_tests::sim::Rng;

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Good,
    /// Well, after so many milliseconds.
    Slow(u64),
    /// With this status.
    Status(u16),
    /// 503, and to come back after a second.
    Later,
    /// With one of [`GARBAGE`].
    Garbage(usize),
    /// Not at all: the connection is closed.
    Never,
}

const GARBAGE: [&str; 6] = [
    "\x01\x02 hello?\r\n\r\n",
    "HTTP/1.1 2",
    "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK",
    "HTTP/9.9 200 OK\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
];

impl Answer {
    /// What its client gets to know; 0 for nothing that it could believe.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Good | Self::Slow(_) => 204,
            Self::Status(status) => status,
            Self::Later => 503,
            Self::Garbage(_) | Self::Never => 0,
        }
    }

    /// Gives it; tells whether the connection stays.
    pub(crate) fn give(self, stream: &mut impl Write) -> io::Result<bool> {
        if let Self::Slow(millis) = self {
            std::thread::sleep(Duration::from_millis(millis));
        }
        let text = match self {
            Self::Good | Self::Slow(_) => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            Self::Status(status) => format!("HTTP/1.1 {status} So\r\nContent-Length: 2\r\n\r\nno"),
            Self::Later => {
                "HTTP/1.1 503 Later\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".to_owned()
            }
            Self::Garbage(kind) => GARBAGE[kind].to_owned(),
            Self::Never => return Ok(false),
        };
        stream.write_all(text.as_bytes())?;
        Ok(!matches!(self, Self::Garbage(_)))
    }

    /// As [`Display`](fmt::Display) writes it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let name = words.next()?;
        let mut number = || words.next()?.parse::<u16>().ok();
        Some(match name {
            "good" => Self::Good,
            "slow" => Self::Slow(number()?.into()),
            "status" => Self::Status(number()?),
            "later" => Self::Later,
            "garbage" => Self::Garbage(number()?.into()),
            "never" => Self::Never,
            _ => return None,
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::Slow(millis) => write!(f, "slow {millis}"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Later => f.write_str("later"),
            Self::Garbage(kind) => write!(f, "garbage {kind}"),
            Self::Never => f.write_str("never"),
        }
    }
}

/// What goes wrong with a receiver for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is stopped between two requests, and started again.
    Stopped,
    /// It is killed wherever it is, and started again.
    Killed,
    /// It stands still, connections and all, and goes on.
    Frozen,
    Answers(Answer),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Killed => f.write_str("killed"),
            Self::Frozen => f.write_str("frozen"),
            Self::Answers(answer) => write!(f, "answers {answer}"),
        }
    }
}

/// One thing after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) fault: Fault,
    /// How long it lasts.
    pub(crate) lasts: Duration,
    /// When, within that time, events go to the other receiver from then on.
    pub(crate) swap: Option<Duration>,
    /// How long all is well before the next one.
    pub(crate) calm: Duration,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {} ms", self.fault, self.lasts.as_millis())?;
        if let Some(swap) = self.swap {
            write!(f, ", a swap after {} ms", swap.as_millis())?;
        }
        write!(f, ", calm for {} ms", self.calm.as_millis())
    }
}

/// Steps for about as long as `whole`. Each kind of fault comes once before any comes again, the
/// first round always whole.
pub(crate) fn steps(rng: &mut Rng, whole: Duration, rejects: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut deck = Vec::new();
    let mut rounds = 0;
    let mut left = whole;
    while !left.is_zero() || rounds == 1 && !deck.is_empty() {
        if deck.is_empty() {
            deck = kinds(rng, rejects);
            rounds += 1;
        }
        let fault = deck.swap_remove(rng.index(deck.len()));
        let lasts = rng.between(700, 2_500);
        let swap = rng.percent(50).then(|| Duration::from_millis(rng.below(lasts)));
        let (lasts, calm) = (Duration::from_millis(lasts), Duration::from_millis(rng.below(700)));
        steps.push(Step { fault, lasts, swap, calm });
        left = left.saturating_sub(lasts + calm);
    }
    steps
}

fn kinds(rng: &mut Rng, rejects: bool) -> Vec<Fault> {
    let mut answers = vec![
        Answer::Slow(rng.between(20, 60)),
        // Longer than the timeout.
        Answer::Slow(600),
        Answer::Status(rng.pick(&[500, 502, 408, 425, 429])),
        Answer::Later,
        Answer::Garbage(rng.index(GARBAGE.len())),
        Answer::Never,
    ];
    if rejects {
        answers.push(Answer::Status(rng.pick(&[301, 400, 404, 422])));
    }
    let faults = [Fault::Stopped, Fault::Killed, Fault::Frozen];
    faults.into_iter().chain(answers.into_iter().map(Fault::Answers)).collect()
}
