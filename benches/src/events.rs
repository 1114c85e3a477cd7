//! The events that are measured with: 180 bytes as they are posted.

use serde::Serialize;

/// The topic of all events.
pub const TOPIC: &str = "conn.established";
/// The length of a posted body.
pub const BODY: usize = 180;

/// An event's data, of three fields.
#[derive(Clone, Copy, Serialize)]
pub struct Established {
    conn_id: u32,
    dst_port: u16,
    src_addr: &'static str,
}

/// One event's data.
pub const DATA: Established =
    Established { conn_id: 123_456, dst_port: 444, src_addr: "0:0000.0000.0002:49152" };

/// The whole body as a receiver gets it, for those who have no engine to make it.
#[derive(Serialize)]
pub struct Envelope {
    event_id: u64,
    event: &'static str,
    node_id: u32,
    timestamp: &'static str,
    data: Established,
}

/// The body of one event.
#[must_use]
pub const fn envelope(event_id: u64) -> Envelope {
    let timestamp = "2026-01-15T12:34:56.789123456Z";
    Envelope { event_id, event: TOPIC, node_id: 1, timestamp, data: DATA }
}

/// An event as the daemon reads it.
#[must_use]
pub fn line() -> String {
    format!(
        "{{\"topic\":\"{TOPIC}\",\"node_id\":1,\"data\":{}}}\n",
        serde_json::to_string(&DATA).unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_as_long_as_said() {
        let body = serde_json::to_vec(&envelope(123_456)).unwrap();
        assert_eq!(body.len(), BODY);
    }
}
