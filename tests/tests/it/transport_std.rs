//! The shared scenarios, played to the std transport.

use pilot_webhook_core::ErrorKind;
use pilot_webhook_tests::{
    Abilities, Authority, Certificate, Expect, Scenario, Step, run, run_all,
};

use crate::transports;

#[tokio::test]
async fn all_scenarios_on_one_thread() {
    run_all(Abilities::ALL, transports::std).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_scenarios_on_two_threads() {
    run_all(Abilities::ALL, transports::std).await;
}

/// Trusting a certificate by its bytes leaves out one of webpki's rules, and must not leave out
/// another that webpki happens to look at later.
#[tokio::test]
async fn a_trusted_self_signed_certificate_must_be_in_date() {
    for authority in [Authority::valid(2000, 2001), Authority::valid(2090, 2091)] {
        let fails = Step::Post(Expect::Fails(&[ErrorKind::Tls]));
        let scenario = Scenario::new("out of date", [vec![]], [fails]).arrived([]);
        run(&scenario.tls(Certificate::Own), &authority, transports::std).await.unwrap();
    }
}
