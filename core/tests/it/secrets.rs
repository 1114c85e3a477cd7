//! A secret signs, and is never shown.

use pilot_webhook_core::Secret;

#[test]
fn a_secret_is_never_shown_and_an_empty_one_is_none() {
    assert!(Secret::new(b"").is_none());
    assert_eq!(format!("{:?}", Secret::new(b"hush").unwrap()), "Secret(..)");
}

#[test]
fn long_keys_sign_as_rfc_4231_has_it() {
    let secret = Secret::new(&[0xaa; 131]).unwrap();
    assert_eq!(
        secret.sign(b"Test Using Larger Than Block-Size Key - Hash Key First").as_str(),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    );
}
