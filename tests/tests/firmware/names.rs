//! Names, by the node's own look-up. QEMU asks whoever the host's `/etc/resolv.conf` names, so this
//! is run in a mount namespace with another one, which only root may make; for others it is skipped.

use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::thread;

use pilot_webhook_embassy::{Error, TlsFailure};
use pilot_webhook_tests::Server;
use tempfile::NamedTempFile;

use crate::node::{Image, Node, skipped};
use crate::receiver::{CaFile, answers, expect_ids, tls_for, url_of};

/// Set in the namespace, to the name server's address.
const NAME_SERVER: &str = "PILOT_TEST_NAME_SERVER";

/// The last labels of the names that resolve.
const DOMAIN: &str = "receiver.test";

/// Answers queries for A records below [`DOMAIN`] with the host's address in the emulated network,
/// and denies everything else.
fn serve_names(address: Ipv4Addr) {
    let socket = UdpSocket::bind((address, 53)).unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            let _ = socket.send_to(&answer(&query[..length]), client);
        }
    });
}

/// RFC 1035, section 4.
fn answer(query: &[u8]) -> Vec<u8> {
    const HEADER: usize = 12;
    let (mut labels, mut at) = (Vec::new(), HEADER);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).into_owned());
        at = end;
    }
    let question = &query[HEADER..at + 5];
    let found = labels.join(".").ends_with(DOMAIN) && question.ends_with(&[0, 1, 0, 1]);
    let (flags, answers) = if found { ([0x81, 0x80], 1) } else { ([0x81, 0x83], 0) };
    let mut reply = [&query[..2], &flags, &[0, 1, 0, answers, 0, 0, 0, 0], question].concat();
    if found {
        // The name of the question, class IN, type A, a minute, four bytes.
        reply.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 2, 2]);
    }
    reply
}

#[tokio::test]
async fn names_are_looked_up_and_certificates_are_for_names() {
    if !Image::An386.is_there() {
        return;
    }
    let Some(name_server) = std::env::var_os(NAME_SERVER) else { return in_namespace() };
    serve_names(name_server.to_str().unwrap().parse().unwrap());

    let ca = CaFile::new();
    let wrong_name = Error::Tls(TlsFailure::WrongName);
    for (name, certificate, error) in [
        ("receiver.test", "receiver.test", None),
        ("node.receiver.test", "*.receiver.test", None),
        // A wildcard stands for one label, and not for none.
        ("a.node.receiver.test", "*.receiver.test", Some(wrong_name)),
        ("receiver.test", "*.receiver.test", Some(wrong_name)),
        ("nobody.test", "nobody.test", Some(Error::Resolve)),
    ] {
        let server = Server::start(vec![answers(200, 2); 3], Some(tls_for(certificate))).await;
        let url = url_of("https", name, server.address().port());
        let words = [url, ca.argument(), "events=1".into(), "backoff_ms=10".into()];
        let report = Node::start(Image::An386, &words).await.end().await;
        let attempts = error.map_or(0, |_| 3);
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        let story = (1..=attempts).map(|attempt| format!("event 1 attempt {attempt}: {text}"));
        assert_eq!(report.story(), Vec::from_iter(story), "{name} with {certificate}");
        expect_ids(&server, error.map_or(Some(1), |_| None));
    }
}

/// Runs this test again where `/etc/resolv.conf` is ours.
fn in_namespace() {
    let what = "names, looked up by the node";
    // Of its own, so that neither a local name server nor another run is in the way.
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254));
    if let Err(error) = UdpSocket::bind((address, 53)) {
        return skipped(what, &format!("this needs root, and port 53: {error}"));
    }
    let mut config = NamedTempFile::new().unwrap();
    writeln!(config, "nameserver {address}").unwrap();
    let script = "mount --bind \"$0\" /etc/resolv.conf || exit 99; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(config.path());
    command.arg(std::env::current_exe().unwrap());
    command.args(["names::names_are_looked_up_and_certificates_are_for_names", "--exact"]);
    // It need not be built there once more, nor wait for other builds.
    command.envs(Image::An386.path().map(|path| (Image::An386.variable(), path)));
    match command.env(NAME_SERVER, address.to_string()).output() {
        Ok(output) if output.status.success() => {
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
        }
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            assert!(output.status.code() != Some(101), "{text}");
            skipped(what, &format!("no mount namespace: {text}"));
        }
        Err(error) => skipped(what, &format!("unshare: {error}")),
    }
}
