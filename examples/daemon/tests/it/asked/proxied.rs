//! What an endpoint asks for, through a proxy: another library sends it then.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use super::{certificate, gzip};

/// A proxy on loopback that carries requests and opens tunnels.
struct Carrier {
    url: String,
    carried: Arc<AtomicUsize>,
}

impl Carrier {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let carried: Arc<AtomicUsize> = Arc::default();
        let count = Arc::clone(&carried);
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Relaxed);
                // Who breaks off ends it.
                thread::spawn(move || carry(stream.unwrap()));
            }
        });
        Self { url, carried }
    }

    fn options(&self) -> [&str; 2] {
        ["--proxy", &self.url]
    }

    fn carried(&self) -> usize {
        self.carried.load(Relaxed)
    }
}

fn carry(mut client: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let target = head.split(' ').nth(1).unwrap().trim_start_matches("http://");
    let mut server = TcpStream::connect(target.split('/').next().unwrap())?;
    if head.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    } else {
        server.write_all(head.as_bytes())?;
    }
    let mut back = server.try_clone()?;
    let answers = thread::spawn(move || {
        let _ = io::copy(&mut back, &mut client);
        let _ = client.shutdown(Shutdown::Write);
    });
    // With what has been read beyond the head.
    let sent = io::copy(&mut reader.by_ref(), &mut server);
    let _ = server.shutdown(Shutdown::Write);
    answers.join().unwrap();
    sent.map(drop)
}

#[test]
fn bodies_are_compressed_and_signed_or_sent_as_they_are() {
    let carrier = Carrier::start();
    gzip::compresses(&carrier.options());
    assert_eq!(carrier.carried(), 3);
    gzip::sends_as_they_are(&carrier.options());
    assert_eq!(carrier.carried(), 6);
}

#[test]
fn a_certificate_is_shown_through_the_tunnel() {
    let carrier = Carrier::start();
    certificate::shows(&carrier.options());
    assert!(carrier.carried() >= 3, "{}", carrier.carried());
}
