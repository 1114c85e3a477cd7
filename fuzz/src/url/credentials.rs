//! Credentials in URLs, in the words of `url` and of RFC 7617.

/// The user name and the password of a URL as bytes, with a colon between them.
pub(super) fn userinfo(url: &url::Url) -> Option<Vec<u8>> {
    let mut text = url.username().as_bytes().to_vec();
    if text.is_empty() && url.password().is_none() {
        return None;
    }
    text.push(b':');
    text.extend_from_slice(url.password().unwrap_or_default().as_bytes());
    let (mut bytes, mut rest) = (Vec::new(), &text[..]);
    while let [first, others @ ..] = rest {
        rest = others;
        let encoded = match others {
            [a, b, ..] if *first == b'%' => str::from_utf8(&[*a, *b])
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        if encoded.is_some() {
            rest = &others[2..];
        }
        bytes.push(encoded.unwrap_or(*first));
    }
    Some(bytes)
}

/// What the value of `Authorization` holds.
pub(super) fn basic(value: &str) -> Option<Vec<u8>> {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = value.strip_prefix("Basic ")?;
    let letters = text.trim_end_matches('=');
    let (mut bytes, mut bits) = (Vec::new(), 0_usize);
    for (place, letter) in letters.chars().enumerate() {
        bits = bits << 6 | LETTERS.find(letter)?;
        if place % 4 > 0 {
            bytes.push((bits >> (6 - 2 * (place % 4)) & 255) as u8);
        }
    }
    (text.len() % 4 == 0).then_some(bytes)
}
