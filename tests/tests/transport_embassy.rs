//! The shared scenarios, played to the embedded transport over a tokio network.

#![allow(clippy::unwrap_used, reason = "a failed test should say where and why at once")]

#[path = "../../transport-embedded/tests/support/net.rs"]
#[allow(dead_code, unreachable_pub, reason = "that crate's tests use all of it")]
mod net;

use std::time::SystemTime;

use net::TokioNet;
use pilot_webhook_embassy::{Buffers, NodeTransport, Tls, TlsBuffers};
use pilot_webhook_tests::{Abilities, Setup, run_all};
use rand_core::OsRng;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Its resolver tells one address at a time.
const ABILITIES: Abilities = Abilities { all_addresses: false, ..Abilities::ALL };

/// On a node all of this is static.
fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

fn now() -> Option<u64> {
    SystemTime::UNIX_EPOCH.elapsed().ok().map(|time| time.as_secs())
}

fn transport(setup: &Setup) -> NodeTransport<'static, TokioNet> {
    let mut net = TokioNet::default();
    for (name, addresses) in setup.names {
        for address in *addresses {
            net = net.with(name, &address.to_string());
        }
    }
    let root = CertificateDer::from_pem_slice(setup.ca_pem.as_bytes()).unwrap();
    let root: &'static [u8] = root.to_vec().leak();
    let buffers = leak(TlsBuffers::<16_640, 1_024>::new());
    let tls = Tls::new(buffers, leak([root]), leak(OsRng), leak(now));
    NodeTransport::new(leak(net), leak(Buffers::<1_024>::new()), setup.policy).with_tls(tls)
}

#[tokio::test]
async fn all_scenarios_on_one_thread() {
    run_all(ABILITIES, transport).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_scenarios_on_two_threads() {
    run_all(ABILITIES, transport).await;
}
