//! A trust anchor in the form that everything here takes: a certificate.

/// A certificate of version 3 with this subject and this key (the contents of their sequences), and nothing else: what
/// a verifier takes from a trusted certificate, without the rest.
pub(crate) fn certificate(subject: &[u8], key: &[u8]) -> Vec<u8> {
    const SEQUENCE: u8 = 0x30;
    const VERSION_3: &[u8] = &[0xa0, 3, 2, 1, 2];
    const SERIAL: &[u8] = &[2, 1, 1];
    const EMPTY: &[u8] = &[SEQUENCE, 0];
    const NO_SIGNATURE: &[u8] = &[3, 1, 0];
    let sequence = |contents: &[&[u8]]| element(SEQUENCE, &contents.concat());
    let (algorithm, issuer, validity) = (EMPTY, EMPTY, EMPTY);
    let (subject, key) = (sequence(&[subject]), sequence(&[key]));
    let signed = sequence(&[VERSION_3, SERIAL, algorithm, issuer, validity, &subject, &key]);
    sequence(&[&signed, algorithm, NO_SIGNATURE])
}

/// In DER, of at most 65,535 bytes.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [.., high, low] = contents.len().to_be_bytes();
    let length = match (high, low) {
        (0, 0..=0x7f) => vec![low],
        (0, _) => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag], &length[..], contents].concat()
}
