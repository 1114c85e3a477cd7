//! The table of docs/fleet.md that sizes a fleet: a simulation, second by second, from what was measured on one machine.

/// Events a second that a stream has stored, on one machine (docs/fleet.md, "Shown").
const STREAM: u64 = 20_000;
/// Events a second that one gateway has delivered, likewise.
const GATEWAY: u64 = 8_000;
/// Bytes of a message in a stream, likewise.
const BYTES: u64 = 280;
/// Events of a node in an hour. Arbitrary: one a minute.
const HOURLY: u64 = 60;
/// An outage of all servers, and the time over which nodes come back after it, by their jitter. Arbitrary.
const OUTAGE: u64 = 600;
const SPREAD: u64 = 120;

struct Sizes {
    per_second: u64,
    streams: u64,
    gateways: u64,
    /// The most that wait in streams after the outage, and how long it takes until none does.
    backlog: u64,
    drained: u64,
}

/// Streams and gateways are chosen for twice the load of a quiet day.
fn simulate(nodes: u64) -> Sizes {
    let per_second = (nodes * HOURLY).div_ceil(3_600);
    let streams = (2 * per_second).div_ceil(STREAM);
    let gateways = (2 * per_second).div_ceil(GATEWAY).max(2);
    // What nodes hold when the servers are back; of it, what may be published by now; what is in the streams.
    let (mut held, mut free, mut waiting, mut backlog, mut drained) =
        (per_second * OUTAGE, 0, 0, 0, 0);
    for second in 1.. {
        let comes = (per_second * OUTAGE).div_ceil(SPREAD).min(held);
        held -= comes;
        free += comes + per_second;
        let stored = free.min(streams * STREAM);
        free -= stored;
        waiting += stored;
        waiting -= waiting.min(gateways * GATEWAY);
        backlog = backlog.max(waiting);
        if held + free + waiting == 0 {
            drained = second;
            break;
        }
    }
    Sizes { per_second, streams, gateways, backlog, drained }
}

fn row(nodes: u64) -> String {
    let Sizes { per_second, streams, gateways, backlog, drained } = simulate(nodes);
    let megabytes = per_second * BYTES * 86_400 / 1_000_000;
    format!(
        "| {nodes} | {per_second} | {streams} | {gateways} | {megabytes} | {backlog} | {drained} s |"
    )
}

#[test]
fn the_table_in_the_docs_is_what_the_simulation_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/fleet.md");
    let docs = std::fs::read_to_string(path).unwrap();
    for nodes in [10_000, 1_000_000, 100_000_000] {
        let row = row(nodes);
        println!("{row}");
        assert!(docs.contains(&row), "docs/fleet.md lacks {row}");
    }
}

#[test]
fn nothing_is_left_when_the_fleet_has_caught_up() {
    for nodes in [1, 60, 9_999, 123_456] {
        let sizes = simulate(nodes);
        assert!(sizes.gateways * GATEWAY >= 2 * sizes.per_second);
        assert!(sizes.streams * STREAM >= 2 * sizes.per_second);
        assert!(sizes.drained >= SPREAD.min(sizes.per_second * OUTAGE));
    }
}
