//! Chains of certificates, to both TLS clients of the node. The oracle: rustls with rustls-webpki and ring, as std
//! uses it.
//!
//! Takes what `chain` reads: up to eight certificates of few names, keys and rules, so that they make paths, loops and
//! near misses, and damage that is signed like what was not damaged. A server that holds one of the keys shows them.
//!
//! - The node accepts nobody whom std refuses.
//! - It refuses nobody whom std accepts, but for these reasons, of which each must be seen in the chain:
//!   - Ed25519, which is not built in;
//!   - more certificates, or more paths between certificates of one name, than a slow core shall check;
//!   - a CA whose key usage does not allow to sign certificates: webpki does not ask;
//!   - embedded-tls: more certificates than it has room for.
//! - Both clients of the node say the same.
//!
//! Known difference the other way round: the certificate of a self-signed server, marked as a CA's and trusted itself,
//! is accepted by the node, and by std's own verifier, which is not played here.

mod chain;

use std::sync::Arc;

use pilot_webhook_embassy::{CertificateFault, Error, Limit, TlsFailure};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection};

use chain::{Chain, ED25519, KEYS};
#[cfg(test)]
pub(crate) use chain::{WORDS, grammar};

use crate::tls::{CLIENTS, Client, Server, post, std_accepts};

/// Takes a chain.
pub fn run(data: &[u8]) {
    let Some(chain) = Chain::read(data) else { return };
    let roots: Vec<&[u8]> = chain::roots().iter().map(Vec::as_slice).collect();
    let std = std_accepts(&roots, &mut Shown::new(&chain));
    for client in CLIENTS {
        let node = post(client, &roots, &mut Shown::new(&chain));
        match (&std, &node) {
            (Ok(()), Ok(200)) | (Err(_), Err(Error::Tls(_))) => {}
            (Ok(()), Err(Error::Tls(failure))) => {
                assert!(is_stricter(*failure, &chain, client), "{client:?}: {failure}: {chain:?}");
            }
            _ => panic!("{client:?}: {node:?}, std: {std:?}: {chain:?}"),
        }
    }
}

/// May the node refuse for this reason whom std accepts?
fn is_stricter(failure: TlsFailure, chain: &Chain, client: Client) -> bool {
    match failure {
        // The server has no other key.
        TlsFailure::Alert(40) => chain.holds == ED25519,
        TlsFailure::Certificate(CertificateFault::TooComplex) => {
            chain.certificates.len() > 5 || chain.shares_a_name()
        }
        TlsFailure::Unsupported(Limit::TooMany) => {
            client == Client::Embedded && chain.certificates.len() > 5
        }
        // The reason may be that of another path.
        _ => chain.has_ed25519() || chain.has_ca_without_cert_sign(),
    }
}

/// A server that shows these certificates, and answers 200.
struct Shown {
    tls: ServerConnection,
    request: Vec<u8>,
    has_failed: bool,
}

impl Shown {
    fn new(chain: &Chain) -> Self {
        let shown = chain.certificates.iter().map(|der| CertificateDer::from(der.clone()));
        let key = PrivateKeyDer::Pkcs8(KEYS[chain.holds].serialize_der().into());
        let key = ring::sign::any_supported_type(&key).expect("a key");
        let certified = SingleCertAndKey::from(CertifiedKey::new(shown.collect(), key));
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ciphers")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certified));
        config.send_tls13_tickets = 0;
        let tls = ServerConnection::new(Arc::new(config)).expect("a server");
        Self { tls, request: Vec::new(), has_failed: false }
    }
}

impl Server for Shown {
    fn answer(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        use std::io::{Read as _, Write as _};
        while !bytes.is_empty() && !self.has_failed {
            self.tls.read_tls(&mut bytes).expect("memory");
            self.has_failed = self.tls.process_new_packets().is_err();
            let mut text = [0; 2_048];
            while let Ok(length @ 1..) = self.tls.reader().read(&mut text) {
                self.request.extend_from_slice(&text[..length]);
            }
        }
        if self.request.ends_with(b"{}") {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            self.tls.writer().write_all(answer).expect("memory");
            self.request.clear();
        }
        let mut sent = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut sent).expect("memory");
        }
        sent
    }

    fn has_closed(&self) -> bool {
        self.has_failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oracle_knows_good_from_bad() {
        let roots: Vec<&[u8]> = chain::roots().iter().map(Vec::as_slice).collect();
        for (data, is_good) in [
            (&include_bytes!("../../corpus/certificates/leaf")[..], true),
            (include_bytes!("../../corpus/certificates/below"), true),
            (include_bytes!("../../corpus/certificates/p384"), true),
            (include_bytes!("../../corpus/certificates/rsa"), true),
            (include_bytes!("../../corpus/certificates/thief"), false),
            (include_bytes!("../../corpus/certificates/expired"), false),
            (include_bytes!("../../corpus/certificates/wrong-name"), false),
        ] {
            let chain = Chain::read(data).expect("a chain");
            let result = std_accepts(&roots, &mut Shown::new(&chain));
            assert_eq!(result.is_ok(), is_good, "{result:?}: {chain:?}");
        }
    }
}
