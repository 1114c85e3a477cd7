//! A server that asks for a certificate of the client.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::support;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate for a name or an address, and its key.
    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Writes `cert.pem` and `key.pem` for a client.
    fn write_client(&self, directory: &Path) {
        let (certificate, key) = self.issue("client");
        fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
        fs::write(directory.join("cert.pem"), certificate.pem()).unwrap();
    }

    /// A server that takes requests of clients with a certificate of this authority.
    fn serve(&self) -> SocketAddr {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let (certificate, key) = self.issue("127.0.0.1");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        thread::spawn(|| serve(listener, Arc::new(config)));
        address
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve(listener: std::net::TcpListener, config: Arc<ServerConfig>) {
    let listener = TcpListener::from_std(listener).unwrap();
    let acceptor = TlsAcceptor::from(config);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // One that shows no certificate, or none of ours.
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        let mut request = Vec::new();
        while !request.ends_with(b"}") && stream.read_buf(&mut request).await.is_ok_and(|n| n > 0) {
        }
        let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
    }
}

#[test]
fn a_certificate_is_shown_and_one_that_was_replaced_is_read_again() {
    shows(&[]);
}

/// With these options, too.
pub(crate) fn shows(further: &[&str]) {
    let (authority, other) = (Authority::new(), Authority::new());
    let directory = TempDir::new().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("ca.pem"), authority.certificate.pem()).unwrap();
    let url = format!("https://{}/", authority.serve());
    let run = |more: &[&str]| {
        let mut command = support::daemon(&url);
        command.args(["--ca-file", &file("ca.pem"), "--events", "-"]).args(further).args(more);
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"{\"topic\":\"a\"}\n").unwrap();
        child
    };
    let (stats, output) = support::end(run(&["--retry-backoff", "1ms"]));
    assert_eq!(stats["exhausted"], 1, "without a certificate");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("CertificateRequired"), "{said}");

    let (certificate, key) = (file("cert.pem"), file("key.pem"));
    let files = ["--client-cert", &certificate, "--client-key", &key];
    authority.write_client(directory.path());
    assert_eq!(support::end(run(&files)).0["delivered"], 1);

    // By another authority at first; the files are replaced when the server has refused that.
    other.write_client(directory.path());
    let waits = [&support::hold()[..], &files].concat();
    let mut child = run(&waits);
    let stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut lines = std::io::BufRead::lines(stderr).map_while(Result::ok);
    assert!(lines.any(|line| line.contains("attempt 1")));
    authority.write_client(directory.path());
    // What is written to nobody would end it.
    let log = thread::spawn(|| lines.for_each(drop));
    support::signal(&child, "HUP");
    assert_eq!(support::end(child).0["delivered"], 1);
    log.join().unwrap();
}

#[test]
fn files_that_do_not_do_exit_2_with_one_line() {
    let (authority, other) = (Authority::new(), Authority::new());
    let directory = TempDir::new().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    authority.write_client(directory.path());
    let (certificate, key, others, text) =
        (file("cert.pem"), file("key.pem"), file("other.pem"), file("text"));
    fs::write(&others, other.issue("client").1.serialize_pem()).unwrap();
    fs::write(&text, "hush").unwrap();
    // There is no TLS without a root to trust.
    fs::write(file("ca.pem"), authority.certificate.pem()).unwrap();
    let ca = file("ca.pem");
    for (arguments, expected) in [
        (vec!["--client-cert", &certificate], "--client-key"),
        (vec!["--client-key", &key], "--client-cert"),
        (vec!["--client-cert", "/nowhere", "--client-key", &key], "/nowhere"),
        (vec!["--client-cert", &certificate, "--client-key", "/nowhere"], "/nowhere"),
        (vec!["--client-cert", &key, "--client-key", &key], "BEGIN CERTIFICATE"),
        (vec!["--client-cert", &certificate, "--client-key", &text], "no private key"),
        (vec!["--client-cert", &certificate, "--client-key", &others], "cert.pem does not do"),
    ] {
        let mut command = support::daemon("https://127.0.0.1:9/");
        let output = command.args(["--ca-file", &ca]).args(&arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        let said = stderr.lines().filter(|line| line.starts_with("pilot-webhookd: "));
        assert_eq!(said.count(), 1, "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected) && !stderr.contains("hush"), "{arguments:?}: {stderr}");
    }
}
