//! The list.

mod answers;
mod connections;
mod destinations;
mod faults;
mod tls;

use crate::{Act, Scenario, Script};

/// Those in which core's rules decide what an answer is.
const READ_BY_CORE: [&str; 15] = [
    "interim answers without end",
    "speaks first, and no HTTP",
    "answers garbage",
    "answers with another protocol",
    "answers with a version that is none",
    "answers with a status that is none",
    "answers with a header that is none",
    "a negative Content-Length",
    "two Content-Lengths that differ",
    "headers without end",
    "a header without end",
    "interim answers before the request is read",
    "sends a status line, and stops",
    "closes in the headers",
    "closes in the headers, after it said when to come back",
];

/// All scenarios.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = list();
    for scenario in &mut scenarios {
        scenario.read_by_core = READ_BY_CORE.contains(&scenario.name);
    }
    scenarios
}

fn list() -> Vec<Scenario> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_of_a_scenario_that_is_left_to_core_is_one() {
        let marked = scenarios().iter().filter(|scenario| scenario.read_by_core).count();
        assert_eq!(marked, READ_BY_CORE.len());
    }
}
