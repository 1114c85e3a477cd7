//! What a TLS error says to do, where something can be done.

use pilot_webhook_embassy::{Algorithm, Error, Limit, TlsFailure};

#[test]
fn what_a_feature_adds_is_said_by_the_error() {
    for (failure, words) in [
        (TlsFailure::Alert(70), &["no TLS 1.3"][..]),
        // Servers older than TLS 1.3 look for a cipher, and find none.
        (TlsFailure::Alert(40), &["no TLS 1.3", "rsa", "p384", "rustls"]),
        (TlsFailure::Alert(80), &["alert 80"]),
        (TlsFailure::Alert(116), &["certificate of ours", "feature rustls"]),
        (TlsFailure::Aborted, &["rsa", "p384", "certificate of ours", "rustls"]),
        (TlsFailure::UnsupportedAlgorithm(Algorithm::Rsa), &["feature rsa"]),
        (TlsFailure::UnsupportedAlgorithm(Algorithm::RsaPss), &["feature rsa"]),
        (TlsFailure::UnsupportedAlgorithm(Algorithm::EcdsaSha384), &["feature p384"]),
        (TlsFailure::UnsupportedAlgorithm(Algorithm::EcdsaP384), &["feature p384"]),
        (TlsFailure::Unsupported(Limit::HelloRetryRequest), &["feature rustls"]),
        (TlsFailure::Unsupported(Limit::SplitMessage), &["feature rustls"]),
        (TlsFailure::Unsupported(Limit::PostHandshake), &["feature rustls"]),
    ] {
        let text = Error::Tls(failure).to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
}
