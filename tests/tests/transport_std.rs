//! The shared scenarios, played to the std transport.

#![allow(clippy::unwrap_used, reason = "a failed test should say where and why at once")]

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use pilot_webhook_core::ErrorKind;
use pilot_webhook_std::{HttpConfig, HttpTransport, Resolve, Resolving};
use pilot_webhook_tests::{
    Abilities, Authority, Certificate, Expect, Scenario, Setup, Step, run, run_all,
};

/// Knows what a scenario says, and nothing else.
struct Names(&'static [(&'static str, &'static [IpAddr])]);

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        let found = self.0.iter().find(|(name, _)| *name == host);
        let addresses = found.map(|(_, addresses)| addresses.to_vec());
        Box::pin(async move { addresses.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// A file that is gone with the test.
struct CaFile(PathBuf);

impl CaFile {
    fn new(pem: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pilot-webhook-ca-{}-{count}.pem", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, pem).unwrap();
        Self(path)
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn transport(setup: &Setup) -> HttpTransport {
    let ca = CaFile::new(&setup.ca_pem);
    let shared = HttpConfig::new()
        .policy(setup.policy)
        .system_roots(false)
        .ca_file(&ca.0)
        .resolver(Names(setup.names))
        .build()
        .unwrap();
    HttpTransport::new(&shared)
}

#[tokio::test]
async fn all_scenarios_on_one_thread() {
    run_all(Abilities::ALL, transport).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_scenarios_on_two_threads() {
    run_all(Abilities::ALL, transport).await;
}

/// Trusting a certificate by its bytes leaves out one of webpki's rules, and must not leave out
/// another that webpki happens to look at later.
#[tokio::test]
async fn a_trusted_self_signed_certificate_must_be_in_date() {
    for authority in [Authority::valid(2000, 2001), Authority::valid(2090, 2091)] {
        let fails = Step::Post(Expect::Fails(&[ErrorKind::Tls]));
        let scenario = Scenario::new("out of date", [vec![]], [fails]).arrived([]);
        run(&scenario.tls(Certificate::Own), &authority, transport).await.unwrap();
    }
}
