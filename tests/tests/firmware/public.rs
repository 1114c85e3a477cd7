//! The node against the TLS servers of Debian: chains as public receivers have them, and one server for each kind
//! of set-up. The whole table is played on the host (`matrix.rs` of the transport).

use pilot_webhook_embassy::{Error, Limit, TlsFailure};
use pilot_webhook_tests::hostile_tls::Identity;
use pilot_webhook_tests::pki::{Kind, leaf_for};
use pilot_webhook_tests::public::RECEIVERS;
use pilot_webhook_tests::real_tls::{Absent, Cipher, Group, Program, RealServer, Setting, skipped};

use crate::node::{HOST, Image, Node};
use crate::receiver::{CaFile, authority, url_of};

/// A server, if openssl is there.
fn openssl(setting: Setting, identity: &Identity) -> Option<RealServer> {
    match RealServer::start(Program::OpenSsl, setting, identity, authority()) {
        Ok(server) => Some(server),
        Err(Absent::Missing(how_to_get_it)) => {
            skipped(Program::OpenSsl, &how_to_get_it);
            None
        }
        Err(Absent::Unable) => panic!("{setting:?} is not for openssl"),
    }
}

/// A node has two events for this server. What it says about them.
async fn tell(image: Image, root: &[u8], server: &RealServer) -> Vec<String> {
    let (ca, url) = (CaFile::of(root), url_of("https", HOST, server.port()));
    let words = [url, ca.argument(), "events=2".into(), "backoff_ms=10".into()];
    let report = Node::start(image, &words).await.end().await;
    assert_eq!(report.count("delivered") == 2, report.story().is_empty());
    report.story().into_iter().map(str::to_owned).collect()
}

async fn reaches_all(image: Image) {
    if !image.is_there() {
        return;
    }
    for receiver in RECEIVERS {
        let (identity, root) = receiver.chain(HOST);
        let Some(server) = openssl(Setting::Usual, &identity) else { return };
        assert_eq!(tell(image, &root, &server).await, [""; 0], "{}", receiver.name);
    }
}

#[tokio::test]
async fn public_receivers_are_reached_by_embedded_tls() {
    reaches_all(Image::An386Public).await;
}

#[tokio::test]
async fn public_receivers_are_reached_by_rustls() {
    reaches_all(Image::An386Rustls).await;
}

/// What embedded-tls says of a server, or `None` if it delivers; and the same of rustls.
type Row = (Setting, Option<Error>, Option<Error>);

const ROWS: [Row; 6] = [
    (Setting::ShortRecords, limit(Limit::SplitMessage), None),
    (Setting::Only(Group::X25519), alert(40), None),
    (Setting::Only(Group::P256), None, None),
    (Setting::With(Cipher::Aes256), alert(40), None),
    (Setting::AsksForCertificate, None, None),
    (Setting::Tls12, alert(70), alert(70)),
];

const fn limit(limit: Limit) -> Option<Error> {
    Some(Error::Tls(TlsFailure::Unsupported(limit)))
}

const fn alert(code: u8) -> Option<Error> {
    Some(Error::Tls(TlsFailure::Alert(code)))
}

#[tokio::test]
async fn public_servers_that_are_set_up_in_other_ways() {
    if !Image::An386Public.is_there() || !Image::An386Rustls.is_there() {
        return;
    }
    let below = authority().below(Kind::P256, pilot_webhook_tests::pki::ca("between"));
    let identity = below.issue(Kind::P256, leaf_for(HOST));
    for (setting, embedded, rustls) in ROWS {
        for (image, expected) in [(Image::An386Public, embedded), (Image::An386Rustls, rustls)] {
            let Some(server) = openssl(setting, &identity) else { return };
            let story = tell(image, authority().root(), &server).await;
            let Some(error) = expected else {
                assert_eq!(story, [""; 0], "{setting:?}, {image:?}");
                continue;
            };
            // The last one comes with the breaker's end, if at all.
            let first = format!("event 1 attempt 1: {error}");
            assert_eq!(story.first(), Some(&first), "{setting:?}, {image:?}");
        }
    }
}
