//! The list.

mod answers;
mod connections;
mod destinations;
mod faults;
mod tls;

use crate::{Act, Scenario, Script};

/// All scenarios.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    [
        answers::scenarios(),
        connections::scenarios(),
        destinations::scenarios(),
        faults::scenarios(),
        tls::scenarios(),
    ]
    .concat()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Reads a request, and sends.
fn answer(bytes: impl AsRef<[u8]>) -> Script {
    vec![Act::Read, Act::Send(bytes.as_ref().to_vec())]
}

/// Reads a request, sends, and does one thing more.
fn answer_then(bytes: impl AsRef<[u8]>, act: Act) -> Script {
    vec![Act::Read, Act::Send(bytes.as_ref().to_vec()), act]
}

/// Answers one request after the other.
fn answers<const N: usize>(texts: [&str; N]) -> Script {
    texts.iter().flat_map(answer).collect()
}
