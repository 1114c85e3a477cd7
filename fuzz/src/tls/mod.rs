//! The node's TLS clients and the one that std uses, against a server in memory.

mod memory;

use std::sync::Arc;

use pilot_webhook_core::{EndpointBuf, Message, Policy, Transport as _};
use pilot_webhook_embassy::{Buffers, Error, NodeTransport, Rustls, Tls, TlsBuffers, TlsClient};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use memory::Net;
pub(crate) use memory::Server;

use crate::http::wait;

/// The server's name.
pub(crate) const NAME: &str = "receiver.test";
/// 2026-11-23.
pub(crate) const NOW: u64 = 1_795_392_000;

/// One of the node's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Embedded,
    Rustls,
}

pub(crate) const CLIENTS: [Client; 2] = [Client::Embedded, Client::Rustls];

/// What comes of a post by the node.
pub(crate) fn post(client: Client, roots: &[&[u8]], server: &mut dyn Server) -> Result<u16, Error> {
    // rustls keeps what it trusts for ever.
    let roots: &'static [&'static [u8]] = forever(roots);
    let net = Net::new(server);
    let mut buffers = Buffers::<512>::new();
    let mut records = TlsBuffers::<16_640, 1_024>::new();
    let (mut rng, clock) = (rand_core::OsRng, || Some(NOW));
    let client: TlsClient<'_> = match client {
        Client::Embedded => Tls::new(&mut records, roots, &mut rng, &clock).into(),
        Client::Rustls => Rustls::new(&mut records, roots, &mut rng, &clock).into(),
    };
    let transport = NodeTransport::new(&net, &mut buffers, Policy::default());
    let mut transport = transport.with_tls(client);
    let url = format!("https://{NAME}/");
    let endpoint = EndpointBuf::<64>::parse(&url, Policy::default());
    let endpoint = endpoint.expect("a URL");
    let message = Message::new(&[], b"{}");
    wait(transport.send(&endpoint, &message)).expect("it hangs").map(|reply| reply.code)
}

/// Does the client that std has accept this server? Why not?
pub(crate) fn std_accepts(roots: &[&[u8]], server: &mut dyn Server) -> Result<(), rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from_slice(root)).expect("a root");
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone());
    let config = ClientConfig::builder_with_details(provider, Arc::new(Clock))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ciphers")
        .with_webpki_verifier(verifier.build().expect("roots"))
        .with_no_client_auth();
    let name = ServerName::try_from(NAME).expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    loop {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).expect("memory");
        }
        if !client.is_handshaking() {
            return Ok(());
        }
        let answer = server.answer(&sent);
        if answer.is_empty() {
            return Err(rustls::Error::HandshakeNotComplete);
        }
        let mut rest = &*answer;
        while !rest.is_empty() {
            client.read_tls(&mut rest).expect("memory");
            client.process_new_packets()?;
        }
    }
}

#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW)))
    }
}

/// The same roots, kept for ever, once each.
fn forever(roots: &[&[u8]]) -> &'static [&'static [u8]] {
    type Kept = Vec<&'static [&'static [u8]]>;
    static KEPT: std::sync::Mutex<Kept> = std::sync::Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(found) = kept.iter().find(|found| **found == roots) {
        return found;
    }
    let roots: Vec<&'static [u8]> = roots.iter().map(|root| &*root.to_vec().leak()).collect();
    kept.push(roots.leak());
    kept[kept.len() - 1]
}
