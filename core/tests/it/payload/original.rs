//! What pilot's Go plugin sent.

use pilot_webhook_core::{Event, Json, Secret, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::{emitted, event, same_json, with_id};

#[test]
fn equals_every_payload_of_the_original_and_verifies_its_signature() {
    let vectors = include_str!("../../data/go-payloads.jsonl");
    let mut count = 0;
    for line in vectors.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| vector[key].as_str().unwrap();
        let number = |key: &str| vector[key].as_i64().unwrap();
        let (name, original) = (text("name"), text("body"));
        let event = Event::new(
            text("event"),
            number("node_id").try_into().unwrap(),
            Timestamp::new(number("unix_seconds"), number("subsec_nanos").try_into().unwrap()),
        );
        let data_json = vector["data_json"].as_str().filter(|json| !json.is_empty());
        let ours = match data_json {
            Some(json) => emitted(&event, &Json(json)),
            None => emitted(&event, &()),
        };
        let ours = with_id(&ours.unwrap(), text("event_id"));
        let parse = |body: &str| serde_json::from_str::<Value>(body).unwrap();
        assert!(same_json(&parse(&ours), &parse(original)), "{name}: {ours}");
        // The envelope up to the data is equal to the letter, but for escapes in the topic.
        let envelope =
            |body: &str| body.split(",\"data\":").next().unwrap().trim_end_matches('}').to_owned();
        assert_eq!(envelope(&ours), envelope(original), "{name}");

        let typed = data_json.and_then(|json| serde_json::from_str::<Value>(json).ok());
        if let Some(data) = typed {
            let ours = with_id(&emitted(&event, &data).unwrap(), text("event_id"));
            assert!(same_json(&parse(&ours), &parse(original)), "{name}: {ours}");
        }
        let secret = Secret::new(text("secret").as_bytes()).unwrap();
        assert_eq!(secret.sign(original.as_bytes()).as_str(), text("signature"), "{name}");
        assert!(secret.verify(original.as_bytes(), text("signature").as_bytes()), "{name}");
        count += 1;
    }
    assert_eq!(count, 33);
}

#[test]
fn a_captured_event_comes_out_byte_for_byte() {
    #[derive(Serialize)]
    struct Established {
        conn_id: u32,
        dst_port: u16,
        src_addr: &'static str,
    }
    let data = Established { conn_id: 2, dst_port: 444, src_addr: "0:0000.0000.0002" };
    assert_eq!(
        emitted(&event("conn.established"), &data).unwrap(),
        "{\"event_id\":1,\"event\":\"conn.established\",\"node_id\":5,\
         \"timestamp\":\"2026-01-15T12:34:56.789Z\",\"data\":{\"conn_id\":2,\"dst_port\":444,\
         \"src_addr\":\"0:0000.0000.0002\"}}"
    );
}
