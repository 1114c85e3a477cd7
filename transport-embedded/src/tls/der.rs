//! Just enough DER for what webpki without an allocator does not tell: algorithms and extensions of a
//! certificate. And the numbers of an ECDSA signature.

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
    let (algorithm, rest) = element(0x30, spki)?;
    match element(3, rest)? {
        // No unused bits, and nothing behind them.
        ([0, key @ ..], []) => Some((algorithm, key)),
        _ => None,
    }
}

/// The value of a certificate's extension 2.5.29.`id` (RFC 5280, section 4.2.1).
pub(super) fn extension(certificate: &[u8], id: u8) -> Option<&[u8]> {
    let (certificate, _) = contents(certificate)?;
    let (mut fields, _) = contents(certificate)?;
    // [3], the last of the fields.
    while *fields.first()? != 0xa3 {
        fields = contents(fields)?.1;
    }
    let (mut extensions, _) = contents(contents(fields)?.0)?;
    while !extensions.is_empty() {
        let (extension, rest) = contents(extensions)?;
        extensions = rest;
        let (oid, value) = contents(extension)?;
        if oid == [0x55, 0x1d, id] {
            // `critical` may stand between them.
            let value = if *value.first()? == 1 { contents(value)?.1 } else { value };
            return contents(value).map(|(value, _)| value);
        }
    }
    None
}

/// The two numbers of an ECDSA signature or of an RSA key, without leading zeros.
pub(super) fn two_integers(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (numbers, behind) = element(0x30, input)?;
    let (first, rest) = positive_integer(numbers)?;
    let (second, rest) = positive_integer(rest)?;
    (behind.is_empty() && rest.is_empty()).then_some((first, second))
}

/// The digits of a number above zero, and what follows it.
fn positive_integer(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (digits, rest) = element(2, input)?;
    match digits {
        // A zero keeps the number from being negative.
        [0, digits @ ..] if *digits.first()? >= 0x80 => Some((digits, rest)),
        [1..=0x7f, ..] => Some((digits, rest)),
        _ => None,
    }
}

/// The contents of an element with this tag, whose length has its shortest form, and what follows it.
fn element(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let form = match input {
        [_, 0..=0x7f, ..] | [_, 0x81, 0x80..=0xff, ..] | [_, 0x82, 1..=0xff, ..] => contents(input),
        _ => None,
    };
    form.filter(|_| input.first() == Some(&tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_have_one_encoding() {
        let long = [&[0x30, 0x82, 1, 8, 2, 0x82, 1, 1, 0][..], &[0x80; 256], &[2, 1, 3]].concat();
        assert_eq!(two_integers(&long), Some((&[0x80; 256][..], &[3][..])));
        let long = [&[0x30, 0x82, 0, 0x86, 2, 0x81, 0x80][..], &[1; 128], &[2, 1, 3]].concat();
        assert_eq!(two_integers(&long), None);
        let long = [&[0x30, 0x81, 0x86, 2, 0x81, 0x80][..], &[1; 128], &[2, 1, 3]].concat();
        assert_eq!(two_integers(&long), Some((&[1; 128][..], &[3][..])));
        let long = [&[0x30, 0x81, 0x87, 2, 0x82, 0, 0x80][..], &[1; 128], &[2, 1, 3]].concat();
        assert_eq!(two_integers(&long), None);
    }

    #[test]
    fn a_key_has_one_encoding() {
        let good: &[u8] = &[0x30, 2, 5, 0, 3, 3, 0, 8, 9];
        assert_eq!(algorithm_and_bits(good), Some((&[5, 0][..], &[8, 9][..])));
        for bad in [
            &[0x31, 2, 5, 0, 3, 3, 0, 8, 9][..],
            &[0x30, 2, 5, 0, 0x83, 3, 0, 8, 9],
            &[0x30, 2, 5, 0, 3, 3, 1, 8, 9],
            &[0x30, 2, 5, 0, 3, 0x81, 3, 0, 8, 9],
            &[0x30, 2, 5, 0, 3, 3, 0, 8, 9, 5],
            &[0x30, 2, 5, 0, 3, 0],
            &[0x30, 2, 5, 0],
        ] {
            assert_eq!(algorithm_and_bits(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_ecdsa_signature_has_one_encoding() {
        let good: &[u8] = &[0x30, 7, 2, 1, 1, 2, 2, 0, 0x80];
        assert_eq!(two_integers(good), Some((&[1][..], &[0x80][..])));
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 0],
            &[0x30, 6, 2, 1, 1, 2, 2, 0, 0x80],
            &[0x30, 0x81, 7, 2, 1, 1, 2, 2, 0, 0x80],
            &[0x31, 7, 2, 1, 1, 2, 2, 0, 0x80],
            // Zero, negative, a zero too many, empty, too short, and something behind it.
            &[0x30, 6, 2, 1, 0, 2, 1, 1],
            &[0x30, 6, 2, 1, 1, 2, 1, 0x80],
            &[0x30, 7, 2, 1, 1, 2, 2, 0, 1],
            &[0x30, 5, 2, 0, 2, 1, 1],
            &[0x30, 6, 2, 1, 1, 2, 2, 1],
            &[0x30, 7, 2, 1, 1, 2, 1, 1, 0],
            &[0x30, 7, 2, 1, 1, 4, 2, 0, 0x80],
        ] {
            assert_eq!(two_integers(bad), None, "{bad:?}");
        }
    }
}
