//! Receivers that misuse TLS: before the handshake, in it, and after it.

use std::time::Duration;

use pilot_webhook_core::ErrorKind;

use super::{Ends, Hostile, LOST, Over, TIMEOUT};
use crate::Act::{Close, Drip, Flood, FloodRecords, Hold, Read, Record, Reset, Send};
use crate::Script;
use crate::hostile_tls::{handshake, record};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

const SERVER_HELLO: u8 = 2;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
const HELLO_REQUEST: u8 = 0;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/// The server was not authenticated.
const REFUSED: Ends = Ends::Fails(&[ErrorKind::Tls]);
/// The connection is unusable; either error will do.
const BROKEN: Ends = Ends::Fails(&[ErrorKind::Disconnected, ErrorKind::Protocol]);
/// A flood that is let through for as long as the attempt may take, or that is cut off.
const FLOODED: Ends =
    Ends::Fails(&[ErrorKind::Disconnected, ErrorKind::Protocol, ErrorKind::Timeout]);

pub(super) fn hostiles() -> Vec<Hostile> {
    let mut list = before();
    list.extend(after());
    list.extend(behind_the_status());
    list.extend(renegotiation());
    list
}

/// No valid TLS message is ever sent.
fn before() -> Vec<Hostile> {
    let hostile = |name, script, ends| Hostile::new(name, script, Over::NoTls, ends);
    let refused = |name, bytes: Vec<u8>| hostile(name, vec![Send(bytes), Hold], REFUSED);
    let flood = |name, bytes: Vec<u8>| hostile(name, vec![Flood(bytes)], REFUSED);
    let slowly = Duration::from_secs(1);
    let hello = record(HANDSHAKE, &handshake(SERVER_HELLO, &[3; 80]));
    let refused_or_lost = Ends::Fails(&[ErrorKind::Tls, ErrorKind::Connect]);
    vec![
        hostile("TLS: silence", vec![Hold], TIMEOUT),
        hostile("TLS: a byte a second", vec![Drip(hello.clone(), slowly)], TIMEOUT),
        hostile("TLS: half a record", vec![Send(hello[..20].into()), Hold], TIMEOUT),
        hostile("TLS: resets at once", vec![Reset], refused_or_lost),
        hostile("TLS: closes at once", vec![Close], refused_or_lost),
        refused("TLS: plain HTTP", b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n".into()),
        refused("TLS: garbage", (0..=255).cycle().take(4096).collect()),
        refused("TLS: a hello of garbage", hello),
        refused("TLS: a record of absurd length", [&[22, 3, 3, 0xff, 0xff][..], &[0; 99]].concat()),
        flood("TLS: garbage without end", (0..=255).cycle().take(4096).collect()),
        flood("TLS: a hello without end", {
            // Its length is of 24 bits.
            let begin = record(HANDSHAKE, &[SERVER_HELLO, 0xff, 0xff, 0xff]);
            [begin, record(HANDSHAKE, &[0; 16_000]).repeat(4)].concat()
        }),
        flood("TLS: warnings without end", record(ALERT, &[1, 90]).repeat(100)),
        flood("TLS: changes of cipher without end", record(CHANGE_CIPHER_SPEC, &[1]).repeat(100)),
        flood("TLS: empty records without end", record(HANDSHAKE, &[]).repeat(100)),
    ]
}

/// After a valid handshake, when there is a request to answer.
fn after() -> Vec<Hostile> {
    let hostile = |name, acts: Script, ends| {
        Hostile::new(name, [vec![Read], acts].concat(), Over::Tls13, ends)
    };
    let ticket = handshake(NEW_SESSION_TICKET, &[&[0; 9][..], &[0, 4, 1, 2, 3, 4, 0, 0]].concat());
    let answer = || Record(DATA, OK.into());
    vec![
        hostile("TLS 1.3: sealed by hand, and good", vec![answer(), Hold], Ends::Delivered),
        hostile("TLS 1.3: silence", vec![Hold], TIMEOUT),
        hostile("TLS 1.3: cut off", vec![crate::Act::Cut], LOST),
        hostile(
            "TLS 1.3: half an answer, and good-bye",
            vec![Record(DATA, b"HTTP/1.1 200".into()), Record(ALERT, vec![1, 0]), Hold],
            LOST,
        ),
        hostile("TLS 1.3: a fatal alert", vec![Record(ALERT, vec![2, 80]), Hold], BROKEN),
        hostile("TLS 1.3: warnings without end", vec![FloodRecords(ALERT, vec![1, 90])], FLOODED),
        hostile("TLS 1.3: tickets without end", vec![FloodRecords(HANDSHAKE, ticket)], FLOODED),
        hostile("TLS 1.3: empty records without end", vec![FloodRecords(DATA, vec![])], FLOODED),
        hostile("TLS 1.3: padding without end", vec![FloodRecords(0, vec![0; 4096])], BROKEN),
        hostile(
            "TLS 1.3: a second hello",
            vec![Record(HANDSHAKE, handshake(SERVER_HELLO, &[3; 80])), answer(), Hold],
            BROKEN,
        ),
        hostile(
            "TLS 1.3: a request to renegotiate",
            vec![Record(HANDSHAKE, handshake(HELLO_REQUEST, &[])), answer(), Hold],
            BROKEN,
        ),
        // The answer is encrypted with the old keys.
        hostile(
            "TLS 1.3: a change of keys that does not come",
            vec![Record(HANDSHAKE, handshake(KEY_UPDATE, &[0])), answer(), Hold],
            BROKEN,
        ),
        hostile(
            "TLS 1.3: changes of keys without end",
            vec![FloodRecords(HANDSHAKE, handshake(KEY_UPDATE, &[1]))],
            BROKEN,
        ),
        hostile(
            "TLS 1.3: a message without end",
            vec![
                Record(HANDSHAKE, vec![NEW_SESSION_TICKET, 0xff, 0xff, 0xff]),
                FloodRecords(HANDSHAKE, vec![0; 4096]),
            ],
            BROKEN,
        ),
        hostile(
            "TLS 1.3: headers without end",
            vec![
                Record(DATA, b"HTTP/1.1 200 OK\r\n".into()),
                FloodRecords(DATA, b"X-Filler: aaaaaaaaaaaa\r\n".repeat(100)),
            ],
            Ends::Delivered,
        ),
        hostile(
            // Of an interim answer: how far a final one is read depends on its records.
            "TLS 1.3: a header, a byte a record, without end",
            vec![Record(DATA, b"HTTP/1.1 103 Hints\r\n".into()), FloodRecords(DATA, b"x".into())],
            FLOODED,
        ),
        hostile(
            "TLS 1.3: a body without end",
            vec![
                Record(DATA, b"HTTP/1.1 200 OK\r\n\r\n".into()),
                FloodRecords(DATA, vec![b'x'; 4096]),
            ],
            Ends::Delivered,
        ),
    ]
}

/// After the status line of an answer, which settles the event.
fn behind_the_status() -> Vec<Hostile> {
    let hostile = |name, behind: Vec<crate::Act>| {
        let status = Record(DATA, b"HTTP/1.1 200 OK\r\n".into());
        Hostile::new(name, [vec![Read, status], behind].concat(), Over::Tls13, Ends::Delivered)
    };
    let headers = || Record(DATA, b"Content-Length: 0\r\n\r\n".into());
    vec![
        hostile("TLS 1.3: a status, and silence", vec![Hold]),
        hostile("TLS 1.3: a status, and cut off", vec![crate::Act::Cut]),
        hostile("TLS 1.3: a status, and good-bye", vec![Record(ALERT, vec![1, 0]), Hold]),
        hostile("TLS 1.3: a status, and a fatal alert", vec![Record(ALERT, vec![2, 80]), Hold]),
        hostile("TLS 1.3: a status, and half a record", vec![Send(vec![DATA, 3, 3, 1, 0]), Hold]),
        hostile(
            "TLS 1.3: a status, and a record in clear",
            vec![Send(record(DATA, b"Content-Length: 0\r\n\r\n")), headers(), Hold],
        ),
        hostile(
            "TLS 1.3: a status, and a record of absurd length",
            vec![Send(vec![DATA, 3, 3, 0xff, 0xff]), headers(), Hold],
        ),
        hostile(
            "TLS 1.3: a status, and a change of keys that does not come",
            vec![Record(HANDSHAKE, handshake(KEY_UPDATE, &[0])), headers(), Hold],
        ),
        hostile(
            "TLS 1.3: a status, and a second hello",
            vec![Record(HANDSHAKE, handshake(SERVER_HELLO, &[3; 80])), headers(), Hold],
        ),
    ]
}

/// TLS 1.2 lets a server ask for another handshake (RFC 5246, section 7.4.1.1).
fn renegotiation() -> Vec<Hostile> {
    let ask = || handshake(HELLO_REQUEST, &[]);
    let hostile = |name, acts: Script, ends| {
        Hostile::new(name, [vec![Read], acts].concat(), Over::Tls12, ends)
    };
    vec![
        hostile(
            "TLS 1.2: sealed by hand, and good",
            vec![Record(DATA, OK.into()), Hold],
            Ends::Delivered,
        ),
        // Declined, and the answer counts.
        hostile(
            "TLS 1.2: a request to renegotiate",
            vec![Record(HANDSHAKE, ask()), Record(DATA, OK.into()), Hold],
            Ends::Delivered,
        ),
        hostile(
            "TLS 1.2: requests to renegotiate without end",
            vec![FloodRecords(HANDSHAKE, ask())],
            BROKEN,
        ),
        hostile(
            "TLS 1.2: a hello after the handshake",
            vec![
                Record(HANDSHAKE, handshake(SERVER_HELLO, &[3; 80])),
                Record(DATA, OK.into()),
                Hold,
            ],
            BROKEN,
        ),
        Hostile::new("TLS 1.2 where 1.3 is asked for", vec![Hold], Over::Tls12Unknown, REFUSED),
    ]
}
