//! The answers to `info` and `health`, with pilot's own keys.

use std::time::Duration;

use pilot_webhook_core::Stats;
use pilot_webhook_std::HubEndpoint;
use serde_json::{Map, Value, json};

/// The answer to `info`.
///
/// Pilot's tools read every number as a float and stop at one that is missing, so all are there.
/// This daemon has no tunnels, so everything about the overlay is zero, empty or false.
/// `url` is where events go; without one the key is the empty string, as in the answer to
/// set-webhook. `endpoints` are those of a configuration, which pilot's own daemon has not.
pub(crate) fn info(
    node_id: u32,
    hostname: &str,
    uptime: Duration,
    stats: &Stats,
    url: Option<&str>,
    endpoints: &[HubEndpoint],
) -> Value {
    let mut webhook = json!(stats);
    webhook["url"] = json!(url.unwrap_or_default());
    let endpoints: Map<_, _> = endpoints.iter().map(of_endpoint).collect();
    json!({
        "node_id": node_id,
        "address": address(node_id),
        "hostname": hostname,
        "uptime_secs": uptime.as_secs_f64(),
        "connections": 0,
        "ports": 0,
        "peers": 0,
        "encrypted_peers": 0,
        "authenticated_peers": 0,
        "encrypt": false,
        "bytes_sent": 0,
        "bytes_recv": 0,
        "pkts_sent": 0,
        "pkts_recv": 0,
        "peer_list": [],
        "conn_list": [],
        "webhook_queue_dropped": stats.dropped,
        "webhook_circuit_skips": stats.skipped,
        "webhook": webhook,
        "endpoints": endpoints,
    })
}

/// An endpoint by its name: its counters, and of its URL the scheme, the host and the port.
fn of_endpoint(endpoint: &HubEndpoint) -> (String, Value) {
    let mut about = json!(endpoint.stats());
    about["to"] = json!(endpoint.client().target().map(|target| target.origin()));
    (endpoint.name().to_owned(), about)
}

/// The answer to `health`, under pilot's keys: all that is in `info` and concerns whether the daemon is well.
pub(crate) fn health(uptime: Duration, stats: &Stats) -> Value {
    json!({
        "status": "ok",
        "uptime_seconds": uptime.as_secs(),
        "connections": 0,
        "peers": 0,
        "bytes_sent": 0,
        "bytes_recv": 0,
        "encrypted_peers": 0,
        "authenticated_peers": 0,
        "handshake_pending_count": 0,
        "relay_peer_count": 0,
        "accept_queue_drops": 0,
        "webhook_queue_dropped": stats.dropped,
        "webhook_circuit_skips": stats.skipped,
        "beacon_addr": "",
    })
}

/// A node's address on pilot's backbone, network 0: `0:0000.HHHH.LLLL`.
fn address(node_id: u32) -> String {
    format!("0:0000.{:04X}.{:04X}", node_id >> 16, node_id & 0xFFFF)
}

#[cfg(test)]
mod tests {
    use pilot_webhook_core::BreakerState;

    use super::*;

    const STATS: Stats = Stats {
        emitted: 21,
        delivered: 1,
        rejected: 2,
        exhausted: 3,
        skipped: 4,
        dropped: 5,
        oversize: 0,
        abandoned: 0,
        queued: 6,
        in_flight: 0,
        attempts: 14,
        circuit_opens: 1,
        last_status: 503,
        breaker: BreakerState::HalfOpen,
    };

    #[test]
    fn addresses_are_pilots() {
        for (node_id, expected) in [
            (0, "0:0000.0000.0000"),
            (1, "0:0000.0000.0001"),
            (0xFFFF, "0:0000.0000.FFFF"),
            (0x0003_D971, "0:0000.0003.D971"),
            (u32::MAX, "0:0000.FFFF.FFFF"),
        ] {
            assert_eq!(address(node_id), expected);
        }
    }

    #[test]
    fn what_pilotctl_reads_as_a_number_is_one() {
        let info = info(u32::MAX, "", Duration::ZERO, &STATS, None, &[]);
        for key in [
            "node_id",
            "uptime_secs",
            "connections",
            "ports",
            "peers",
            "bytes_sent",
            "bytes_recv",
            "pkts_sent",
            "pkts_recv",
            "webhook_queue_dropped",
            "webhook_circuit_skips",
        ] {
            assert!(info[key].is_number(), "{key}: {}", info[key]);
        }
        assert_eq!(info["node_id"], 4_294_967_295_u32);
        assert_eq!(info["encrypt"], false);
        assert_eq!(info["hostname"], "");
    }

    #[test]
    fn health_counts_what_the_webhook_lost() {
        let health = health(Duration::from_millis(3_999), &STATS);
        assert_eq!((&health["status"], &health["uptime_seconds"]), (&json!("ok"), &json!(3)));
        assert_eq!(
            (&health["webhook_queue_dropped"], &health["webhook_circuit_skips"]),
            (&json!(5), &json!(4))
        );
    }

    #[test]
    fn the_webhooks_own_numbers_are_all_there() {
        let url = "https://example.com/hook";
        let info = info(9, "here", Duration::from_millis(1_500), &STATS, Some(url), &[]);
        assert_eq!(info["uptime_secs"], 1.5);
        assert_eq!(
            (&info["webhook_queue_dropped"], &info["webhook_circuit_skips"]),
            (&json!(5), &json!(4))
        );
        assert_eq!(info["webhook"]["url"], url);
        assert_eq!(info["webhook"]["breaker"], "half-open");
        let Value::Object(stats) = json!(STATS) else { panic!("stats are an object") };
        for (key, value) in stats {
            assert_eq!(info["webhook"][&key], value, "{key}");
        }
    }
}
