//! An attempt after a failure leaves the connection to the server that failed.

use pilot_webhook_core::{Event, Policy, Timestamp, Transport};

use crate::deliver::{CONFIG, Memory, deliver};
use crate::{Act, Authority, Server, Setup, Url};

/// A receiver moved to another address while the old server went on answering 503 on the kept
/// connection: nothing ever arrived at the new one.
///
/// # Panics
/// When the second attempt stays on the first attempt's connection.
pub async fn leaves_the_connection<T: Transport<Url>>(make: impl Fn(&Setup) -> T) {
    let answer =
        |status| Act::Send(format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n\r\n").into());
    let old = vec![Act::Read, answer(500), Act::Read, answer(500), Act::Read, answer(500)];
    let new = vec![Act::Read, answer(200), Act::Read, answer(200)];
    let server = Server::start(vec![old, new], None).await;
    let mut transport =
        make(&Setup { policy: Policy::default(), ca_pem: Authority::new().pem(), names: &[] });
    let url = Url::parse(&format!("http://{}/", server.address()), Policy::default()).unwrap();
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    for attempts in [2, 1] {
        let transport = &mut transport;
        let delivered =
            deliver(transport, url.clone(), CONFIG, None, &event, &(), Memory::UNCOUNTED).await;
        let stats = delivered.unwrap().stats;
        assert_eq!((stats.delivered, stats.attempts), (1, attempts));
    }
    // After a success the connection is kept.
    assert_eq!(server.connections(), 2);
}
