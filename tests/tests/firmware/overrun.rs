//! More events at once than the queue holds, from an interrupt.

use std::collections::BTreeSet;

use pilot_webhook_tests::Server;

use crate::node::{Image, Node};
use crate::receiver::{answers, ids, url};

/// The interrupt emits them all before the worker can run, so that the queue overruns for certain.
#[tokio::test]
async fn a_burst_from_an_interrupt_is_delivered_or_counted_as_dropped() {
    if !Image::An386.is_there() {
        return;
    }
    let (task, burst) = (20, 1_000);
    let server = Server::start(vec![answers(200, task + burst)], None).await;
    let words = [
        url("http", &server),
        format!("events={task}"),
        format!("isr={burst}"),
        "drain_s=60".into(),
    ];
    let report = Node::start(Image::An386, &words).await.end().await;

    let emitted = u64::try_from(task + burst).unwrap();
    let (delivered, dropped) = (report.count("delivered"), report.count("dropped"));
    assert_eq!(report.count("emitted"), emitted);
    assert_eq!(delivered + dropped, emitted);
    assert!(dropped > 0, "the queue did not overrun");
    assert!(delivered > 20, "{delivered}");
    let ids = ids(&server);
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let arrived = BTreeSet::from_iter(ids);
    assert_eq!(arrived.len() as u64, delivered);
    let missing: Vec<_> = (1..=emitted).filter(|id| !arrived.contains(id)).collect();
    assert_eq!(missing.len() as u64, dropped);
    // The task's own events wait for room; the burst came after half of them.
    assert!(missing.iter().all(|id| (11..=1_010).contains(id)), "{missing:?}");
    assert!(arrived.contains(&11), "the burst's first event has room");
}
