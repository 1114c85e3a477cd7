//! Both transports, as the shared suites want them made.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use pilot_webhook_embassy::{Buffers, NodeTransport, Tls, TlsBuffers};
use pilot_webhook_std::{
    HttpConfig, HttpShared, HttpTransport, ReqwestTransport, Resolve, Resolving,
};
use pilot_webhook_tests::nal::TokioNet;
use pilot_webhook_tests::{Abilities, Setup};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// What the embedded transport can do: `Dns` tells one address of each family.
pub(crate) const NODE: Abilities =
    Abilities { all_addresses: false, tls12: false, ..Abilities::ALL };

/// What the transport over reqwest can do: it keeps no connection, and what it makes of broken answers is reqwest's own
/// business.
pub(crate) const REQWEST: Abilities =
    Abilities { keep_alive: false, reads_by_core: false, ..Abilities::ALL };

/// The std transport.
pub(crate) fn std(setup: &Setup) -> HttpTransport {
    HttpTransport::new(&shared(setup))
}

/// The transport over reqwest.
pub(crate) fn reqwest(setup: &Setup) -> ReqwestTransport {
    ReqwestTransport::new(&shared(setup))
}

fn shared(setup: &Setup) -> HttpShared {
    let ca = CaFile::new(&setup.ca_pem);
    HttpConfig::new()
        .policy(setup.policy)
        .system_roots(false)
        .ca_file(&ca.0)
        .resolver(Names(setup.names))
        .build()
        .unwrap()
}

/// The embedded transport, over sockets of this host.
pub(crate) fn node(setup: &Setup) -> NodeTransport<'static, TokioNet> {
    node_over(TokioNet::knowing(setup.names), setup)
}

/// The same over this network. Its memory leaks: on a node it is static.
pub(crate) fn node_over(net: TokioNet, setup: &Setup) -> NodeTransport<'static, TokioNet> {
    let root: &'static [u8] =
        CertificateDer::from_pem_slice(setup.ca_pem.as_bytes()).unwrap().to_vec().leak();
    let buffers = leak(TlsBuffers::<16_640, 1_024>::new());
    let tls = Tls::new(buffers, leak([root]), leak(rand_core::OsRng), leak(now));
    NodeTransport::new(leak(net), leak(Buffers::<2_048>::new()), setup.policy).with_tls(tls)
}

fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

fn now() -> Option<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|time| time.as_secs())
}

/// Knows what a scenario says, and nothing else.
pub(crate) struct Names(pub(crate) &'static [(&'static str, &'static [IpAddr])]);

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        let found = self.0.iter().find(|(name, _)| *name == host);
        let addresses = found.map(|(_, addresses)| addresses.to_vec());
        Box::pin(async move { addresses.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// A file that is gone with the test.
pub(crate) struct CaFile(PathBuf);

impl CaFile {
    pub(crate) fn new(pem: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pilot-webhook-ca-{}-{count}.pem", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, pem).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
