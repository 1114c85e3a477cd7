//! Just enough DER to find the algorithms in a certificate.
//!
//! webpki without an allocator says that an algorithm is missing, but not which. This serves the
//! error message and the server's public key; it decides nothing about trust.

/// The contents of the first element, and what follows it.
pub(super) fn contents(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_tag, input) = input.split_first()?;
    let (first, input) = input.split_first()?;
    let (length, input) = match first {
        0..=0x7f => (usize::from(*first), input),
        0x81..=0x83 => {
            let (digits, input) = input.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), input)
        }
        _ => return None,
    };
    input.split_at_checked(length)
}

/// The `signatureAlgorithm` of a certificate.
pub(super) fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = contents(certificate)?;
    let (_to_be_signed, rest) = contents(certificate)?;
    contents(rest).map(|(algorithm, _)| algorithm)
}

/// The key's algorithm in a certificate of version 3.
pub(super) fn key_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = contents(certificate)?;
    let (mut fields, _) = contents(certificate)?;
    // version, serialNumber, signature, issuer, validity, subject
    for _ in 0..6 {
        fields = contents(fields)?.1;
    }
    let (spki, _) = contents(fields)?;
    contents(spki).map(|(algorithm, _)| algorithm)
}

/// The algorithm and the key of a `SubjectPublicKeyInfo`'s contents.
pub(super) fn algorithm_and_bits(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let (algorithm, rest) = contents(spki)?;
    match contents(rest)?.0 {
        // No unused bits.
        [0, key @ ..] => Some((algorithm, key)),
        _ => None,
    }
}
