//! The shared scenarios, played to the embedded transport, over sockets of this host.

#![allow(clippy::unwrap_used, reason = "a failed test should say where and why at once")]

use std::time::{SystemTime, UNIX_EPOCH};

use pilot_webhook_embassy::{Buffers, NodeTransport, Tls, TlsBuffers};
use pilot_webhook_tests::nal::TokioNet;
use pilot_webhook_tests::{Abilities, Setup, run_all};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// `Dns` tells one address of each family.
const ABILITIES: Abilities = Abilities { all_addresses: false, ..Abilities::ALL };

fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

fn now() -> Option<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|time| time.as_secs())
}

/// Its memory leaks: on a node it is static.
fn transport(setup: &Setup) -> NodeTransport<'static, TokioNet> {
    let root: &'static [u8] =
        CertificateDer::from_pem_slice(setup.ca_pem.as_bytes()).unwrap().to_vec().leak();
    let buffers = leak(TlsBuffers::<16_640, 1_024>::new());
    let tls = Tls::new(buffers, leak([root]), leak(rand_core::OsRng), leak(now));
    let net = leak(TokioNet::knowing(setup.names));
    NodeTransport::new(net, leak(Buffers::<2_048>::new()), setup.policy).with_tls(tls)
}

#[tokio::test]
async fn all_scenarios() {
    run_all(ABILITIES, transport).await;
}
