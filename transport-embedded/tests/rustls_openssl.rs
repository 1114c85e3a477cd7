//! rustls without its standard library against `openssl s_server`, where openssl is installed.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests say where and why"
)]

mod support;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use pilot_webhook_embassy::{Algorithm, ClientIdentity, Error, TlsFailure};
use support::hostile_tls::Identity;
use support::net::TokioNet;
use support::pki::{self, Authority, Kind, leaf};
use support::{BODY, OK, authority, post};

/// Nothing takes this long.
const STUCK: Duration = Duration::from_secs(20);

/// A server that answers each request. Dropping it ends it.
struct OpenSsl {
    process: Child,
    port: u16,
    // The files are read when it starts, so this is for tidiness only.
    _folder: tempfile::TempDir,
}

impl OpenSsl {
    /// Starts it with these options.
    fn start(identity: &Identity, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), &identity.key).unwrap();
        let mut chain = identity.chain.iter().map(|der| pem(der, folder.path()));
        std::fs::write(folder.path().join("cert"), chain.next().unwrap()).unwrap();
        let above: String = chain.collect();
        let chain: &[&str] = if above.is_empty() { &[] } else { &["-cert_chain", "above"] };
        std::fs::write(folder.path().join("above"), above).unwrap();
        let mut process = Command::new("openssl")
            .current_dir(folder.path())
            .args(["s_server", "-accept", "127.0.0.1:0", "-keyform", "DER", "-key", "key"])
            .args(["-cert", "cert"])
            .args(chain)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = process.stdin.take().unwrap();
        let mut output = process.stdout.take().unwrap();
        let (ports, port) = mpsc::channel();
        std::thread::spawn(move || {
            let (mut seen, mut buf) = (String::new(), [0; 4_096]);
            while let Ok(length @ 1..) = output.read(&mut buf) {
                seen.push_str(&String::from_utf8_lossy(&buf[..length]));
                let accepts = seen.split_once("ACCEPT 127.0.0.1:");
                if let Some((port, rest)) = accepts.and_then(|(_, rest)| rest.split_once('\n')) {
                    ports.send(port.trim().parse().unwrap()).unwrap();
                    seen = rest.to_owned();
                }
                if seen.contains(str::from_utf8(BODY).unwrap()) {
                    seen.clear();
                    input.write_all(OK.as_bytes()).unwrap();
                }
            }
        });
        let port = port.recv_timeout(STUCK).expect("openssl does not start");
        Self { process, port, _folder: folder }
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pem(der: &[u8], folder: &Path) -> String {
    std::fs::write(folder.join("der"), der).unwrap();
    let mut openssl = Command::new("openssl");
    let output =
        openssl.current_dir(folder).args(["x509", "-inform", "DER", "-in", "der"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// Whether there is an openssl. Says so if not.
fn is_there() -> bool {
    let there = Command::new("openssl").arg("version").output().is_ok();
    if !there {
        eprintln!("SKIPPED: openssl is not installed");
    }
    there
}

/// Posts twice to such a server.
#[track_caller]
fn ask_as(identity: &Identity, root: &[u8], options: &[&str]) -> Result<u16, Error> {
    ask_showing(None, identity, root, options)
}

/// The same with a certificate of the node's own.
#[track_caller]
fn ask_showing(
    own: Option<&Identity>,
    identity: &Identity,
    root: &[u8],
    options: &[&str],
) -> Result<u16, Error> {
    let server = OpenSsl::start(identity, options);
    let net = TokioNet::default().with(pki::NAME, "127.0.0.1");
    let own = own.map(|own| {
        let chain: Vec<&'static [u8]> = own.chain.iter().map(|der| &*der.clone().leak()).collect();
        // rcgen's keys: the secret is behind a header of 36 bytes (RFC 5208 and RFC 5915).
        let secret = own.key[36..68].try_into().unwrap();
        ClientIdentity::new(chain.leak(), secret).unwrap()
    });
    let mut node = support::rustls_as(own, net, &[root]);
    let url = format!("https://{}:{}/hook", pki::NAME, server.port);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut ask = || runtime.block_on(post(&mut node, &url)).map(|reply| reply.code);
    let first = ask();
    // The second request goes over the same connection: openssl serves one at a time.
    if first.is_ok() {
        assert_eq!(ask(), first);
    }
    first
}

#[track_caller]
fn ask(options: &[&str]) -> Result<u16, Error> {
    ask_as(&authority().server(), authority().root(), options)
}

#[test]
fn as_it_is() {
    if is_there() {
        assert_eq!(ask(&[]), Ok(200));
        assert_eq!(ask(&["-tls1_3", "-num_tickets", "9"]), Ok(200));
    }
}

#[test]
fn groups_and_ciphers() {
    if is_there() {
        assert_eq!(ask(&["-groups", "P-256"]), Ok(200));
        assert_eq!(ask(&["-groups", "X25519"]), Ok(200));
        assert_eq!(ask(&["-groups", "P-521:X448:P-256"]), Ok(200));
        assert_eq!(ask(&["-ciphersuites", "TLS_AES_128_GCM_SHA256"]), Ok(200));
        let none = Err(Error::Tls(TlsFailure::Alert(40)));
        let expected = if cfg!(feature = "p384") { Ok(200) } else { none };
        assert_eq!(ask(&["-ciphersuites", "TLS_AES_256_GCM_SHA384"]), expected);
        assert_eq!(ask(&["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]), none);
    }
}

#[test]
fn a_chain_in_many_records() {
    if is_there() {
        let first = authority().below(Kind::P256, pki::ca("first"));
        let identity = first.below(Kind::P256, pki::ca("second")).server();
        let options = &["-max_send_frag", "512"];
        assert_eq!(ask_as(&identity, authority().root(), options), Ok(200));
    }
}

#[test]
fn a_client_certificate_that_is_asked_for_or_required() {
    if is_there() {
        assert_eq!(ask(&["-verify", "1"]), Ok(200));
        // The handshake is over for the client when the server learns that there is none.
        let required = TlsFailure::Alert(116);
        assert_eq!(ask(&["-Verify", "1"]), Err(Error::TlsSession(required)));
    }
}

#[test]
fn a_client_certificate_that_is_shown() {
    if is_there() {
        let certificate = authority().issue(Kind::P256, pki::for_clients(leaf()));
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca");
        std::fs::write(&ca, authority().pem()).unwrap();
        let options =
            ["-Verify", "1", "-verify_return_error", "-CAfile", ca.to_str().unwrap(), "-attime"];
        let options = [&options[..], &["1795392000"]].concat();
        let server = authority().server();
        assert_eq!(ask_showing(Some(&certificate), &server, authority().root(), &options), Ok(200));
        // Somebody else's certificate.
        let thief = Identity { key: server.key.clone(), ..certificate };
        let result = ask_showing(Some(&thief), &server, authority().root(), &options);
        assert_eq!(result, Err(Error::TlsSession(TlsFailure::Alert(51))));
    }
}

#[test]
fn an_old_version() {
    if is_there() {
        assert_eq!(ask(&["-no_tls1_3"]), Err(Error::Tls(TlsFailure::Alert(70))));
    }
}

#[test]
fn the_shape_of_a_public_chain() {
    if is_there() {
        let root = Authority::of(Kind::P384, pki::ca("a P-384 root"));
        let identity =
            root.below(Kind::P384, pki::ca("a P-384 intermediate")).issue(Kind::P256, leaf());
        let missing = TlsFailure::UnsupportedAlgorithm(Algorithm::EcdsaSha384);
        let expected = if cfg!(feature = "p384") { Ok(200) } else { Err(Error::Tls(missing)) };
        assert_eq!(ask_as(&identity, root.root(), &[]), expected);
    }
}
