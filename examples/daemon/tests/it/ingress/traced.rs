//! A POST that is part of a trace.

use super::daemon::Daemon;
use super::original::Original;
use crate::asked::receiver::{Receiver, Request};
use crate::support::daemon;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// Posts a body with these headers; returns the status.
fn post(to: &Daemon, headers: &str, body: &str) -> u16 {
    let mut sender = Original::start(to.address);
    let length = body.len();
    sender.write(&format!(
        "POST / HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    ));
    sender.read().0
}

fn event(id: u32) -> String {
    format!("{{\"event_id\":{id},\"event\":\"e\",\"timestamp\":\"2026-01-15T12:34:56Z\"}}")
}

/// The trace, the span and the flags of a request.
fn sent(request: &Request) -> [String; 3] {
    let [header] = request.all("traceparent")[..] else { panic!("one header: {}", request.head) };
    let parts: Vec<_> = header.split('-').map(str::to_owned).collect();
    let [version, rest @ ..] = &parts[..] else { panic!("{header}") };
    assert_eq!(version, "00");
    rest.to_vec().try_into().unwrap()
}

#[test]
fn what_is_sent_of_the_event_is_in_its_trace_as_spans_of_its_own() {
    let receiver = Receiver::start(|n| if n == 0 { 500 } else { 204 });
    let listening = Daemon::start(daemon(&receiver.url()).args(["--retry-backoff", "1ms"]));
    for (id, flags) in [(1, "01"), (2, "00")] {
        let header = format!("traceparent: 00-{TRACE}-{SPAN}-{flags}\r\n");
        assert_eq!(post(&listening, &header, &event(id)), 204);
        // With an attempt that failed, the first time.
        let requests = receiver.wait_for(2 + usize::from(id == 2));
        let all: Vec<_> = requests.iter().map(sent).collect();
        let last = all.last().unwrap();
        assert_eq!((&*last[0], &*last[2]), (TRACE, flags), "{all:?}");
        assert!(all.iter().all(|[trace, span, _]| trace == TRACE && span != SPAN), "{all:?}");
        assert!(all.iter().filter(|other| other[1] == last[1]).count() == 1, "{all:?}");
    }
    // Each event of an array.
    let header = format!("TraceParent: 00-{TRACE}-{SPAN}-01\r\n");
    assert_eq!(post(&listening, &header, &format!("[{},{}]", event(3), event(4))), 204);
    assert!(receiver.wait_for(5).iter().all(|request| sent(request)[0] == TRACE));
    listening.stop();
}

#[test]
fn what_is_no_trace_or_that_of_one_event_of_a_batch_is_not_taken_over() {
    let receiver = Receiver::start(|_| 204);
    let listening = Daemon::start(&mut daemon(&receiver.url()));
    let good = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\n");
    for (id, header) in (1..).zip([
        String::new(),
        format!("traceparent: 00-{TRACE}-{SPAN}-1\r\n"),
        format!("traceparent: ff-{TRACE}-{SPAN}-01\r\n"),
        format!("traceparent: 00-{}-{SPAN}-01\r\n", "0".repeat(32)),
        good.repeat(2),
    ]) {
        assert_eq!(post(&listening, &header, &event(id)), 204);
        let requests = receiver.wait_for(id as usize);
        let [trace, _, flags] = sent(&requests[id as usize - 1]);
        assert!(trace != TRACE && flags == "01", "{header}: {trace} {flags}");
    }
    listening.stop();

    let receiver = Receiver::start(|_| 204);
    let batches = ["--batch", "2", "--batch-delay", "10s"];
    let listening = Daemon::start(daemon(&receiver.url()).args(batches));
    assert_eq!(post(&listening, &good, &format!("[{},{}]", event(1), event(2))), 204);
    assert_ne!(sent(&receiver.wait_for(1)[0])[0], TRACE);
    listening.stop();
}
