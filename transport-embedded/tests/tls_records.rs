//! Records that are as long as a small receive buffer, from the servers of Debian. Without one of them its test says
//! so and passes.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests say where and why"
)]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pilot_webhook_embassy::{Error, Limit, Tls, TlsBuffers, TlsFailure};
use support::hostile_tls::{Behaviour, HostileServer};
use support::net::TokioNet;
use support::{BODY, NOW, Node, authority, pki, plain, post};

/// An answer in one record, if the server may.
const LENGTH: usize = 10_000;

/// A node with so much room for a record, and for one of its own.
fn node_on<const RX: usize, const TX: usize>(net: TokioNet) -> Node {
    let roots: &'static [&'static [u8]] = vec![authority().root()].leak();
    let buffers = Box::leak(Box::new(TlsBuffers::<RX, TX>::new()));
    let rng = Box::leak(Box::new(rand_core::OsRng));
    let tls = Tls::new(buffers, roots, rng, Box::leak(Box::new(|| Some(NOW))));
    plain(net).with_tls(tls)
}

/// Posts to that port.
fn ask<const RX: usize>(port: u16) -> Result<u16, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("https://{}:{port}/hook", pki::NAME);
    let mut node = node_on::<RX, 1_024>(TokioNet::default().with(pki::NAME, "127.0.0.1"));
    runtime.block_on(post(&mut node, &url)).map(|reply| reply.code)
}

/// A folder with the server's certificate and key, `cert` and `key`, in DER.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let identity = authority().server();
    fs::write(folder.join("cert"), &identity.chain[0]).unwrap();
    fs::write(folder.join("key"), &identity.key).unwrap();
    folder
}

/// A process that ends with the test; `None` if there is no such program.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Option<Self> {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        match started {
            Ok(child) => Some(Self(child)),
            Err(error) => {
                eprintln!("SKIPPED: {command:?}: {error}");
                None
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// openssl's `s_server`, which answers the first request with one write. Its port.
fn openssl(name: &str) -> Option<(Server, u16)> {
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-tls1_3"]);
    command.args(["-certform", "DER", "-cert", "cert", "-keyform", "DER", "-key", "key"]);
    let mut server = Server::start(command.current_dir(folder(name)))?;
    let mut input = server.0.stdin.take().unwrap();
    let mut output = BufReader::new(server.0.stdout.take().unwrap());
    let port = loop {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ends before it listens");
        if let Some(address) = line.strip_prefix("ACCEPT 127.0.0.1:") {
            break address.trim().parse().unwrap();
        }
    };
    std::thread::spawn(move || {
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(BODY) {
            if output.read_exact(&mut byte).is_err() {
                return;
            }
            seen.push(byte[0]);
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
        let _ = input.write_all(&[head.as_bytes(), &[b'x'; LENGTH]].concat());
        // Open until the server ends: the end of its input would end the connection.
        let _ = output.read_to_end(&mut seen);
    });
    Some((server, port))
}

#[test]
fn openssl_is_asked_for_records_that_fit() {
    let Some((_server, port)) = openssl("asked") else { return };
    assert_eq!(ask::<4_352>(port), Ok(200));
    let Some((_server, port)) = openssl("asked_for_less") else { return };
    assert_eq!(ask::<1_280>(port), Ok(200));
}

/// The event is delivered three times then; see `TlsBuffers` for the sizes that ask.
#[test]
fn a_buffer_that_asks_for_nothing_gets_records_that_do_not_fit() {
    let Some((_server, port)) = openssl("not_asked") else { return };
    let too_large = ask::<4_096>(port);
    assert!(
        matches!(
            too_large,
            Err(Error::TlsSession(TlsFailure::Unsupported(Limit::RecordTooLarge(10_000..))))
        ),
        "{too_large:?}"
    );
}

/// Its records are of 4,113 bytes then, which 4,096 of buffer did not hold.
#[test]
fn nginx_with_buffers_of_4k() {
    let folder = folder("nginx");
    for (file, label) in [("cert", "CERTIFICATE"), ("key", "PRIVATE KEY")] {
        let der = fs::read(folder.join(file)).unwrap();
        fs::write(folder.join(file), pem(label, &der)).unwrap();
    }
    fs::write(folder.join("hook"), [b'x'; LENGTH]).unwrap();
    // nginx cannot tell a port that it chose.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "daemon off; master_process off; pid pid; error_log stderr; events {{}} http {{ access_log off; \
         client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t; \
         server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.3; ssl_buffer_size 4k; \
         ssl_certificate cert; ssl_certificate_key key; root .; error_page 405 =200 /hook; }} }}"
    );
    fs::write(folder.join("conf"), config).unwrap();
    let mut command = Command::new("nginx");
    let path = [std::env::var("PATH").unwrap_or_default(), "/usr/sbin".into()].join(":");
    command.env("PATH", path).arg("-p").arg(&folder).args(["-c", "conf", "-e", "stderr"]);
    let Some(_server) = Server::start(&mut command) else { return };
    let connect = || std::net::TcpStream::connect(("127.0.0.1", port));
    for _ in 0..500 {
        if connect().is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(ask::<4_352>(port), Ok(200));
    let too_large = ask::<4_096>(port);
    assert_eq!(
        too_large,
        Err(Error::TlsSession(TlsFailure::Unsupported(Limit::RecordTooLarge(4_113))))
    );
}

#[test]
fn the_longest_hello_fits_into_the_smallest_buffer() {
    let label = "a".repeat(63);
    let name: &'static str = format!("{label}.{label}.{label}.{}", "a".repeat(61)).leak();
    assert_eq!(name.len(), 253);
    let server = HostileServer::start(authority().server(), Behaviour::good());
    let net = TokioNet::default().with(name, "127.0.0.1");
    let mut node = node_on::<1_280, 512>(net);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("https://{name}:{}/hook", server.address().port());
    let refused = runtime.block_on(post(&mut node, &url));
    assert_eq!(refused, Err(Error::Tls(TlsFailure::WrongName)));
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut command = Command::new("base64");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(der).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    format!("-----BEGIN {label}-----\n{text}-----END {label}-----\n")
}
