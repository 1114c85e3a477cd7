//! Runs each target for some seconds: on its corpus, on inputs of its grammar, on both damaged.
//!
//! `FUZZ_SECONDS` is how long (4), `FUZZ_SEED` which inputs (0). With `FUZZ_INPUT` a target runs on
//! that file alone. What fails is made as small as possible and kept in `artifacts/`.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::abort;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

/// A target takes milliseconds for its longest input; what takes this long is stuck.
const STUCK: Duration = Duration::from_secs(30);
/// Inputs from one seed.
const BATCH: u32 = 64;

/// What a target is made of.
struct Target {
    name: &'static str,
    run: fn(&[u8]),
    /// Inputs that the target takes to heart.
    grammar: fn() -> BoxedStrategy<Vec<u8>>,
    /// What inputs are damaged with.
    words: &'static [&'static str],
}

macro_rules! targets {
    ($($name:ident),*) => {$(
        #[test]
        fn $name() {
            let (run, grammar) = (crate::$name::run, crate::$name::grammar);
            Target { name: stringify!($name), run, grammar, words: crate::$name::WORDS }.fuzz();
        }
    )*};
}

targets!(
    certificates,
    handshake,
    http,
    ingress,
    ipc,
    json_text,
    ndjson,
    payload,
    retry_after,
    timestamp,
    url
);

impl Target {
    fn fuzz(&self) {
        let seconds = variable("FUZZ_SECONDS").unwrap_or(4);
        let seed = variable("FUZZ_SEED").unwrap_or(0);
        let guard = Guard::new(self.name);
        if let Some(file) = std::env::var_os("FUZZ_INPUT") {
            (self.run)(&fs::read(file).unwrap());
            return;
        }
        let corpus = corpus(self.name);
        for (path, input) in &corpus {
            let result = catch_unwind(AssertUnwindSafe(|| guard.watch(self.run, input)));
            result.unwrap_or_else(|panic| {
                eprintln!("failed on {}", path.display());
                resume_unwind(panic)
            });
        }
        let inputs = self.inputs(corpus.into_iter().map(|(_, input)| input).collect());
        let start = Instant::now();
        let mut batch = 0;
        while start.elapsed() < Duration::from_secs(seconds) {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&seed.to_le_bytes());
            key[8..16].copy_from_slice(&u64::from(batch).to_le_bytes());
            let config = ProptestConfig {
                cases: BATCH,
                failure_persistence: None,
                max_shrink_iters: 20_000,
                max_shrink_time: 20_000,
                ..ProptestConfig::default()
            };
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &key);
            let result = TestRunner::new_with_rng(config, rng).run(&inputs, |input| {
                guard.watch(self.run, &input);
                Ok(())
            });
            if let Err(TestError::Fail(reason, input)) = result {
                let kept = keep(self.name, &input);
                panic!("{reason}\non {}\nkept in {}", input.escape_ascii(), kept.display());
            }
            batch += 1;
        }
        println!("{}: {} inputs of the seed {seed}", self.name, batch * BATCH);
    }

    /// Inputs of the grammar and the corpus, as they are or damaged in a few places.
    fn inputs(&self, corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
        let words = self.words;
        let sound = prop_oneof![3 => (self.grammar)(), 1 => select(corpus.clone())];
        let word = select(words).prop_map(|word| word.as_bytes().to_vec());
        let damage = prop_oneof![
            (any::<Index>(), word).prop_map(|(at, word)| Damage::Insert(at, word)),
            (any::<Index>(), vec(any::<u8>(), 1..4)).prop_map(|(at, b)| Damage::Insert(at, b)),
            (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
            (any::<Index>(), 1_usize..20).prop_map(|(at, length)| Damage::Remove(at, length)),
            (any::<Index>(), 1_usize..40, 1_usize..4)
                .prop_map(|(at, length, times)| Damage::Repeat(at, length, times)),
            (any::<Index>(), any::<Index>(), select(corpus))
                .prop_map(|(at, from, other)| Damage::Splice(at, from, other)),
        ];
        let damages = prop_oneof![1 => Just(Vec::new()), 1 => vec(damage, 1..6)];
        (sound, damages).prop_map(|(mut input, damages)| {
            for damage in damages {
                damage.apply(&mut input);
            }
            input
        })
    }
}

/// One thing that goes wrong with an input.
#[derive(Clone, Debug)]
enum Damage {
    Insert(Index, Vec<u8>),
    Replace(Index, u8),
    Remove(Index, usize),
    /// A piece comes several times more.
    Repeat(Index, usize, usize),
    /// From here on it is another input, from somewhere on.
    Splice(Index, Index, Vec<u8>),
}

impl Damage {
    fn apply(self, input: &mut Vec<u8>) {
        let length = input.len();
        let piece = |at: Index, wanted: usize| {
            let start = at.index(length + 1);
            start..length.min(start + wanted)
        };
        match self {
            Self::Insert(at, bytes) => drop(input.splice(piece(at, 0), bytes)),
            Self::Replace(at, byte) => drop(input.splice(piece(at, 1), [byte])),
            Self::Remove(at, wanted) => drop(input.drain(piece(at, wanted))),
            Self::Repeat(at, wanted, times) => {
                let range = piece(at, wanted);
                let more = input[range.clone()].repeat(times);
                input.splice(range.start..range.start, more);
            }
            Self::Splice(at, from, other) => {
                input.truncate(piece(at, 0).start);
                input.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value:?}")))
}

fn folder(kind: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(name)
}

/// The corpus of a target, in an order that stays.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(folder("corpus", name)).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{name} has no corpus");
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Keeps an input that failed.
fn keep(name: &str, input: &[u8]) -> PathBuf {
    let mut hash = DefaultHasher::new();
    input.hash(&mut hash);
    let path = folder("artifacts", name).join(format!("{:016x}", hash.finish()));
    fs::create_dir_all(folder("artifacts", name)).unwrap();
    fs::write(&path, input).unwrap();
    path
}

/// Ends the process, with the input that was to blame, when a target does not come back.
struct Guard {
    inputs: Sender<Option<Vec<u8>>>,
}

impl Guard {
    fn new(name: &'static str) -> Self {
        let (inputs, watched) = mpsc::channel::<Option<Vec<u8>>>();
        thread::spawn(move || {
            let mut current = None;
            loop {
                match (watched.recv_timeout(STUCK), &current) {
                    (Ok(next), _) => current = next,
                    (Err(RecvTimeoutError::Timeout), Some(input)) => {
                        let kept = keep(name, input);
                        eprintln!("{name} hangs on {}", kept.display());
                        abort();
                    }
                    (Err(RecvTimeoutError::Timeout), None) => {}
                    (Err(RecvTimeoutError::Disconnected), _) => return,
                }
            }
        });
        Self { inputs }
    }

    fn watch(&self, run: fn(&[u8]), input: &[u8]) {
        self.inputs.send(Some(input.to_vec())).unwrap();
        run(input);
        self.inputs.send(None).unwrap();
    }
}
