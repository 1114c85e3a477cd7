//! Real servers that embedded-tls does not reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::pki::{self, Kind, leaf};
use crate::support::{self, NOW, Node, authority, good_tls, post};
use pilot_webhook_embassy::{Error, Limit, TlsFailure, UnknownTime};
use pilot_webhook_tests::Server;
use pilot_webhook_tests::hostile_tls::Identity;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use rustls::{CipherSuite, NamedGroup, ServerConfig};

fn node() -> Node {
    support::tls_with::<16_640, 1_024>()
}

fn by_name(server: &Server) -> String {
    support::by_name(server.address().port())
}

/// Posts to a server with this configuration over two connections.
async fn ask(node: &mut Node, config: ServerConfig) -> Result<u16, Error> {
    let server = good_tls(config).await;
    let first = post(node, &by_name(&server)).await.map(|reply| reply.code);
    node.disconnect();
    assert_eq!(post(node, &by_name(&server)).await.map(|reply| reply.code), first);
    node.disconnect();
    first
}

/// A server with other cryptography.
fn with(change: impl FnOnce(&mut CryptoProvider)) -> ServerConfig {
    let mut provider = ring::default_provider();
    change(&mut provider);
    pki::rustls_by(provider, &authority().server(), &[&rustls::version::TLS13])
}

#[tokio::test]
async fn every_group_that_a_server_may_want() {
    // P-256 takes a HelloRetryRequest.
    for group in [NamedGroup::X25519, NamedGroup::secp256r1] {
        let config = with(|provider| provider.kx_groups.retain(|it| it.name() == group));
        assert_eq!(ask(&mut node(), config).await, Ok(200), "{group:?}");
    }
    let config =
        with(|provider| provider.kx_groups.retain(|it| it.name() == NamedGroup::secp384r1));
    assert_eq!(ask(&mut node(), config).await, Err(Error::Tls(TlsFailure::Alert(40))));
}

#[tokio::test]
async fn every_cipher_that_a_server_may_want() {
    let none = Err(Error::Tls(TlsFailure::Alert(40)));
    for (suite, expected) in [
        (CipherSuite::TLS13_AES_128_GCM_SHA256, Ok(200)),
        (
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            if cfg!(feature = "p384") { Ok(200) } else { none },
        ),
        (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, none),
    ] {
        let config = with(|provider| provider.cipher_suites.retain(|it| it.suite() == suite));
        assert_eq!(ask(&mut node(), config).await, expected, "{suite:?}");
    }
}

#[tokio::test]
async fn records_of_any_size() {
    for size in [32, 512, 4_096] {
        let mut config = with(|_| ());
        config.max_fragment_size = Some(size);
        assert_eq!(ask(&mut node(), config).await, Ok(200), "{size}");
    }
}

/// A server whose certificate alone is longer than a record.
fn long_winded() -> Identity {
    let mut params = leaf();
    let names = (0..500).map(|n| format!("a-rather-long-name-{n}.example.org").try_into().unwrap());
    params.subject_alt_names.extend(names.map(rcgen::SanType::DnsName));
    authority().issue(Kind::P256, params)
}

#[tokio::test]
async fn a_chain_longer_than_a_record_within_the_buffer() {
    let identity = long_winded();
    assert!(identity.chain[0].len() > 16_640);
    let mut large = support::tls_with::<32_768, 1_024>();
    assert_eq!(ask(&mut large, pki::rustls(&identity)).await, Ok(200));
    let too_large = Err(Error::Tls(TlsFailure::Unsupported(Limit::MessageTooLarge)));
    assert_eq!(ask(&mut node(), pki::rustls(&identity)).await, too_large);
}

/// A server's memory of sessions, which counts those that were resumed.
#[derive(Debug)]
struct Sessions(Arc<ServerSessionMemoryCache>, Arc<AtomicUsize>);

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.0.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let taken = self.0.take(key);
        self.1.fetch_add(usize::from(taken.is_some()), Ordering::Relaxed);
        taken
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// A server that resumes sessions, and how many it did.
fn resuming() -> (ServerConfig, Arc<AtomicUsize>) {
    let resumed = Arc::new(AtomicUsize::new(0));
    let mut config = with(|_| ());
    config.session_storage = Arc::new(Sessions(ServerSessionMemoryCache::new(99), resumed.clone()));
    (config, resumed)
}

#[tokio::test]
async fn a_new_connection_to_the_same_server_resumes_the_session() {
    let (config, resumed) = resuming();
    let server = good_tls(config).await;
    let mut node = node();
    for _ in 0..4 {
        assert_eq!(post(&mut node, &by_name(&server)).await.map(|reply| reply.code), Ok(200));
        node.disconnect();
    }
    assert_eq!((server.connections(), resumed.load(Ordering::Relaxed)), (4, 3));
}

#[tokio::test]
async fn a_session_whose_certificate_was_not_checked_is_not_resumed() {
    let (config, resumed) = resuming();
    let server = good_tls(config).await;
    let net = support::here();
    let known = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let clock = known.clone();
    let clock = move || clock.load(Ordering::Relaxed).then_some(NOW);
    let skip = UnknownTime::SkipValidity;
    let mut node = support::tls_at(net, &[authority().root()], clock, skip);
    // With the time known, unknown twice, and known again: only between two known ones it is resumed.
    for (knows, expected) in [(true, 0), (true, 1), (false, 1), (false, 1), (true, 1), (true, 2)] {
        known.store(knows, Ordering::Relaxed);
        assert_eq!(post(&mut node, &by_name(&server)).await.map(|reply| reply.code), Ok(200));
        node.disconnect();
        assert_eq!(resumed.load(Ordering::Relaxed), expected);
    }
}

#[tokio::test]
async fn another_name_of_the_same_server_gets_no_session() {
    let (config, resumed) = resuming();
    let server = good_tls(config).await;
    let net = support::here().with("other.test", "127.0.0.1");
    let mut node = support::tls(net, &[authority().root()]);
    assert!(post(&mut node, &by_name(&server)).await.is_ok());
    let other = format!("https://other.test:{}/", server.address().port());
    assert_eq!(post(&mut node, &other).await, Err(Error::Tls(TlsFailure::WrongName)));
    assert_eq!(resumed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_record_that_does_not_fit_says_so() {
    let mut node = support::tls_with::<2_048, 1_024>();
    let server = Server::start(
        vec![vec![pilot_webhook_tests::Act::Serve(|_| {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n";
            vec![support::send([head.as_bytes(), &[b'x'; 9_000]].concat())]
        })]],
        Some(Arc::new(with(|_| ()))),
    )
    .await;
    let result = post(&mut node, &by_name(&server)).await;
    let limit = TlsFailure::Unsupported(Limit::RecordTooLarge(9_000 + 41 + 17));
    assert_eq!(result, Err(Error::TlsSession(limit)));
}
