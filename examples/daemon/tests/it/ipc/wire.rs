//! Bytes in, bytes out.

use std::io::{ErrorKind, Write as _};

use super::daemon::{Client, ERROR, INFO, INFO_OK, Place, SET, SET_OK, error, frame};

const URL: &str = "http://127.0.0.1:9/hook";

#[test]
fn the_answers_are_pilots_to_the_byte() {
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let mut client = daemon.client();
    let answer = client.ask(SET, URL.as_bytes());
    assert_eq!(answer, (SET_OK, br#"{"webhook":"http://127.0.0.1:9/hook"}"#.to_vec()));
    assert_eq!(client.ask(SET, b""), (SET_OK, br#"{"webhook":""}"#.to_vec()));
    assert_eq!(client.ask(0x0F, b""), error("unknown command: 0x0F"));
    assert_eq!(client.ask(0xFE, b"payload"), error("unknown command: 0xFE"));
    assert_eq!(client.ask(SET, b"http://\xff/"), error("the URL is not UTF-8"));
    let no_url =
        "the URL must begin with http:// or https://, or for a NATS server with nats:// or tls://";
    assert_eq!(client.ask(SET, b"ftp://127.0.0.1/"), error(no_url));
    assert_eq!(client.ask(SET, &[b'a'; 1_048_575]).0, ERROR);
    assert_eq!(client.ask(INFO, b"").0, INFO_OK);
}

#[test]
fn info_has_pilots_keys_and_the_webhooks_own() {
    let place = Place::new();
    let daemon = place.daemon(&["--node-id", "252273", "--webhook", URL]);
    let info = daemon.info();
    assert_eq!(info["node_id"], 252_273);
    assert_eq!(info["address"], "0:0000.0003.D971");
    assert_eq!(info["encrypt"], false);
    assert!(info["hostname"].is_string());
    for key in ["connections", "ports", "peers", "bytes_sent", "bytes_recv"] {
        assert_eq!(info[key], 0, "{key}");
    }
    for key in ["pkts_sent", "pkts_recv", "webhook_queue_dropped", "webhook_circuit_skips"] {
        assert_eq!(info[key], 0, "{key}");
    }
    assert_eq!(info["webhook"]["url"], URL);
    assert_eq!(info["webhook"]["breaker"], "closed");
    assert_eq!(info["webhook"]["emitted"], 0);
    let later = daemon.info();
    assert!(later["uptime_secs"].as_f64() > info["uptime_secs"].as_f64());
}

/// They were answered with errors, which a driver takes for the answer to its next request.
#[test]
fn what_takes_no_answer_gets_none() {
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let mut client = daemon.client();
    for command in [0x06, 0x0B, 0x2B] {
        client.send(&frame(command, b"\0\0\0\x07data"));
        assert_eq!(client.ask(INFO, b"").0, INFO_OK);
    }
    assert_eq!(client.ask(0x08, b"\0\0\0\x07"), (0x09, b"\0\0\0\x07".to_vec()));
    assert_eq!(client.ask(0x08, b""), error("close: missing conn_id"));
}

#[test]
fn health_has_pilots_keys() {
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let (command, payload) = daemon.client().ask(0x21, b"");
    assert_eq!(command, 0x22);
    let health: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(health["status"], "ok");
    for key in ["uptime_seconds", "peers", "webhook_queue_dropped", "webhook_circuit_skips"] {
        assert!(health[key].is_u64(), "{key}: {health}");
    }
}

#[test]
fn frames_may_come_byte_by_byte_or_all_at_once() {
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let mut client = daemon.client();
    for byte in [frame(SET, URL.as_bytes()), frame(INFO, b"")].concat() {
        client.send(&[byte]);
    }
    assert_eq!(client.receive().0, SET_OK);
    assert_eq!(client.receive().0, INFO_OK);
    let nothing = [0; 4].to_vec();
    let all = [frame(SET, b""), nothing.clone(), frame(0, b""), nothing, frame(INFO, b"")];
    client.send(&all.concat());
    assert_eq!(client.receive(), (SET_OK, br#"{"webhook":""}"#.to_vec()));
    assert_eq!(client.receive(), error("unknown command: 0x00"));
    assert_eq!(client.receive().0, INFO_OK);
}

#[test]
fn a_client_may_close_its_half_and_still_be_answered() {
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let mut client = daemon.client();
    client.send(&frame(INFO, b""));
    client.0.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.receive().0, INFO_OK);
    client.expect_end();
}

#[test]
fn sixty_four_clients_are_served_and_one_more_is_turned_away() {
    let place = Place::new();
    let daemon = place.daemon(&[]);
    let mut clients: Vec<Client> = (0..64).map(|_| daemon.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(INFO, b"").0, INFO_OK);
    }
    let mut one_more = daemon.client();
    assert_eq!(one_more.receive(), error("too many clients"));
    one_more.expect_end();
    let (status, _, stderr) = super::daemon::finish(&mut place.command("info"));
    assert!(status == 1 && stderr.contains("refused: too many clients"), "{stderr}");

    let mut leaving = clients.swap_remove(17);
    leaving.0.shutdown(std::net::Shutdown::Write).unwrap();
    leaving.expect_end();
    assert_eq!(daemon.client().ask(INFO, b"").0, INFO_OK);
    for client in &mut clients {
        assert_eq!(client.ask(INFO, b"").0, INFO_OK);
    }
}

#[test]
fn bad_clients_harm_nobody_else() {
    let place = Place::new();
    let daemon = place.daemon(&["--webhook", URL]);
    let mut good = daemon.client();
    assert_eq!(good.ask(INFO, b"").0, INFO_OK);

    // Half a length, half a frame, a length that is not kept.
    let half: Vec<Client> = [&b"\0\0"[..], b"\0\0\0\x20\x1bhttp://", b"\0\x10\0\0\x1b"]
        .into_iter()
        .map(|bytes| {
            let mut client = daemon.client();
            client.send(bytes);
            client
        })
        .collect();
    // Some go in the middle.
    for bytes in [&b"\0"[..], b"\0\0\0\x20\x1bhttp://"] {
        daemon.client().send(bytes);
    }
    for garbage in [&b"\xff\xff\xff\xff"[..], b"GET / HTTP/1.1\r\n\r\n", b"\0\x10\0\x01\x0d"] {
        let mut client = daemon.client();
        client.send(garbage);
        assert_eq!(client.receive().0, ERROR);
        client.expect_end();
    }
    // One asks and asks, and never takes an answer.
    let deaf = daemon.client();
    deaf.0.set_nonblocking(true).unwrap();
    let requests = frame(INFO, b"").repeat(1_000);
    let full = loop {
        if let Err(full) = (&deaf.0).write(&requests) {
            break full;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);

    assert_eq!(good.ask(INFO, b"").0, INFO_OK);
    assert_eq!(daemon.info()["webhook"]["url"], URL);
    assert_eq!(good.ask(SET, b"").0, SET_OK);
    drop((half, deaf));
    daemon.terminate();
}
