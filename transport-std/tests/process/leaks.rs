//! Thousands of swaps leak nothing.

use std::time::Duration;

use pilot_webhook_std::Client;
use tokio::runtime::Handle;

use crate::support::{Receivers, black_hole};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn thousands_of_swaps_leak_no_task_connection_or_descriptor() {
    let _process = crate::process().await;
    let receivers = Receivers::start(2).await;
    let hole = black_hole().await;
    let client = Client::builder(receivers.url(0)).queue_capacity(100_000).build().unwrap();
    let emit_and_swap = async |swaps: usize| {
        for n in 0..swaps {
            client.emit("t", &n).unwrap();
            let url = if n % 3 == 0 { hole.url.clone() } else { receivers.url(n % 2) };
            client.set_url(&url).unwrap();
            tokio::task::yield_now().await;
        }
        client.set_url(&receivers.url(0)).unwrap();
        client.drained().await;
        // The receivers notice that connections were closed.
        tokio::time::sleep(Duration::from_millis(200)).await;
        (descriptors(), Handle::current().metrics().num_alive_tasks())
    };
    let before = emit_and_swap(100).await;
    let after = emit_and_swap(5_000).await;
    // One connection more or less may be about to be closed on the receivers' side.
    assert!(after.0 <= before.0 + 4, "descriptors: {} then {}", before.0, after.0);
    assert!(after.1 <= before.1 + 4, "tasks: {} then {}", before.1, after.1);
    let stats = client.stats();
    assert_eq!((stats.delivered, stats.emitted), (5_100, 5_100));
}
