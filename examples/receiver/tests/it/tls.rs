//! The program over TLS, and a sender that trusts the CA which it wrote.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pilot_webhook_std::{Client, HttpConfig};

/// The program, killed when it is dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it, and returns it with the address that it listens on.
fn start(ca: &Path) -> (Program, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pilot-webhook-receiver"));
    command.args(["--listen", "127.0.0.1:0", "--tls-ca"]).arg(ca).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("listening on https://").unwrap().split(',').next().unwrap();
    (Program(child), address.to_owned())
}

#[tokio::test]
async fn a_sender_that_trusts_the_ca_delivers_and_another_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let (_program, address) = start(&ca);
    for (http, delivered) in [
        (HttpConfig::new().system_roots(false).ca_file(&ca), 1),
        (HttpConfig::new().system_roots(true), 0),
    ] {
        let client = Client::builder(format!("https://{address}/")).http(http).build().unwrap();
        client.emit("t", &1).unwrap();
        client.close().await;
        assert_eq!(client.stats().delivered, delivered);
    }
}

#[test]
fn by_the_name_of_its_file_the_ca_is_in_pem_or_in_der() {
    let directory = tempfile::tempdir().unwrap();
    let (pem, der) = (directory.path().join("ca.pem"), directory.path().join("ca.der"));
    drop((start(&pem), start(&der)));
    assert!(std::fs::read_to_string(pem).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    // A sequence, whose length takes two bytes more.
    assert_eq!(std::fs::read(der).unwrap()[..2], [0x30, 0x82]);
}
