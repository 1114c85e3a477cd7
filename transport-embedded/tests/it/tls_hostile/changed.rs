//! A byte of the flight that is not what it was.

use pilot_webhook_embassy::Error;

use super::{node, url};
use crate::support::hostile_tls::{Behaviour, HostileServer};
use crate::support::{authority, either, post};

/// Inverts one bit of each byte of the good server's flight, on the wire or before encryption,
/// and returns at which bytes that was accepted all the same.
fn flip_all(on_wire: bool) -> Vec<usize> {
    let identity = authority().server();
    let probe = HostileServer::start(identity.clone(), Behaviour::good());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(runtime.block_on(post(&mut node(), &url(&probe))).is_ok());
    let seen = probe.seen();
    let length = if on_wire { seen.wire_length } else { seen.plain_length };
    assert!(length > 400, "{length}");
    let bit = |n: usize| 8 * n + (n * 5 + n / 8) % 8;
    let server = HostileServer::start_with(identity, move |n| {
        let flip = Some(bit(n));
        match on_wire {
            true => Behaviour { flip_wire: flip, ..Behaviour::good() },
            false => Behaviour { flip_plain: flip, ..Behaviour::good() },
        }
    });
    let mut node = node();
    let mut accepted = Vec::new();
    for n in 0..length {
        match runtime.block_on(post(&mut node, &url(&server))) {
            Err(Error::Tls(_)) => {}
            other => {
                assert_eq!(other.map(|reply| reply.code), Ok(200));
                let seen = server.seen();
                // Signatures are not all of one length; this flight may have been shorter.
                if n < if on_wire { seen.wire_length } else { seen.plain_length } {
                    accepted.push(n);
                }
            }
        }
        node.disconnect();
    }
    assert_eq!(server.seen().connections, length);
    accepted
}

#[test]
fn no_byte_of_the_flight_can_be_changed_on_its_way() {
    // But for the version in the first record's header, which "MUST be ignored for all purposes" (RFC
    // 8446, section 5.1).
    // rustls ignores the lower half of it, in the first encrypted record, too.
    assert_eq!(flip_all(true), either([1, 2], [2, 129]));
}

#[test]
fn no_byte_of_the_flight_can_be_wrong_to_begin_with() {
    assert_eq!(flip_all(false), Vec::<usize>::new());
}
