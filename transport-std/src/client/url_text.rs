//! URLs as people write them, with what must be encoded. Core's parser, which has no tables of Unicode, gets them
//! encoded; what is no URL it refuses then.

use std::borrow::Cow;
use std::fmt::Write as _;

use idna::{AsciiDenyList, domain_to_ascii_cow};

/// Encodes a host of other letters than ASCII as the names service knows it (UTS 46), and in the path and the query
/// what has one meaning only: spaces, letters that are not ASCII, and `"<>^{}` with the backtick. White space around
/// the URL stays, as it is rather a slip.
pub(crate) fn encoded(url: &str) -> Cow<'_, str> {
    if url.trim() != url || !url.bytes().any(|byte| !byte.is_ascii() || must_be_encoded(byte)) {
        return Cow::Borrowed(url);
    }
    let start = url.find("://").map_or(url.len(), |end| end + 3);
    let (scheme, rest) = url.split_at(start);
    let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host_start = authority.rfind('@').map_or(0, |at| at + 1);
    let (credentials, host) = authority.split_at(host_start);
    let (host, port) = host.split_at(host.rfind(':').unwrap_or(host.len()));
    let mut text = format!("{scheme}{credentials}{}{port}", ascii_host(host));
    for character in target.chars() {
        if character.is_ascii() && !must_be_encoded(character as u8) {
            text.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                // A `String` takes it.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    Cow::Owned(text)
}

/// A host that is no name stays, and is refused as such.
fn ascii_host(host: &str) -> Cow<'_, str> {
    if host.is_ascii() {
        return Cow::Borrowed(host);
    }
    domain_to_ascii_cow(host.as_bytes(), AsciiDenyList::URL).unwrap_or(Cow::Borrowed(host))
}

/// The ASCII characters of a path or query that servers read in one way only. Of the others that RFC 3986 does not
/// have, a backslash is a slash to some, and control characters are no accident.
const fn must_be_encoded(byte: u8) -> bool {
    matches!(byte, b' ' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'}')
}

#[cfg(test)]
mod tests {
    use pilot_webhook_core::{EndpointError, Policy, Refusal};

    use crate::client::destination::{Destination, DestinationError};

    #[track_caller]
    fn canonical(url: &str) -> Result<String, EndpointError> {
        match Destination::parse(url, Policy::default()) {
            Ok(destination) => Ok(destination.url()),
            Err(DestinationError::Http(error)) => Err(error),
            #[cfg(feature = "nats")]
            Err(DestinationError::Nats(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn what_people_write_is_encoded() {
        for (written, expected) in [
            ("http://a.example/a b?c d#e f", "http://a.example/a%20b?c%20d"),
            (
                "http://a.example/größe/日?q=é",
                "http://a.example/gr%C3%B6%C3%9Fe/%E6%97%A5?q=%C3%A9",
            ),
            ("http://a.example/{id}/\"<x>^`", "http://a.example/%7Bid%7D/%22%3Cx%3E%5E%60"),
            ("https://Bücher.example:8443/x", "https://xn--bcher-kva.example:8443/x"),
            ("http://bücher.example", "http://xn--bcher-kva.example/"),
            ("http://faß.example/", "http://xn--fa-hia.example/"),
            ("http://例え。テスト/", "http://xn--r8jz45g.xn--zckzah/"),
            ("http://user:pw@bücher.example/", "http://xn--bcher-kva.example/"),
            // What is encoded already stays, and so does what needs no encoding.
            ("http://a.example/%20 %e9", "http://a.example/%20%20%e9"),
            ("http://a.example/a'b|[c]", "http://a.example/a'b|[c]"),
        ] {
            assert_eq!(canonical(written).as_deref(), Ok(expected), "{written}");
        }
    }

    /// The policy sees what other letters stand for.
    #[test]
    fn no_letters_lead_around_the_policy() {
        for url in [
            "http://１６９.２５４.１６９.２５４/",
            "http://169。254。169。254/",
            "http://⑯9.254.169.254/",
        ] {
            assert_eq!(canonical(url), Err(EndpointError::Refused(Refusal::LinkLocal)), "{url}");
        }
        let metadata = canonical("http://metadata.ｇoogle.internal/");
        assert_eq!(metadata, Err(EndpointError::Refused(Refusal::Metadata)));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for (url, error) in [
            (" http://a.example/", EndpointError::Scheme),
            ("http://a.example/ ", EndpointError::Character),
            ("http://a.example/a\\b é", EndpointError::Character),
            ("http://a.example/a\nb", EndpointError::Character),
            ("http://a b.example/", EndpointError::Host),
            // It stands for `a/c`.
            ("http://℀.example/", EndpointError::Host),
            ("http://é%.example/", EndpointError::Host),
            ("http://xn--é.example/", EndpointError::Host),
            ("http://[é]/", EndpointError::Host),
            ("é", EndpointError::Scheme),
            ("ftp://é/", EndpointError::Scheme),
        ] {
            assert_eq!(canonical(url), Err(error), "{url:?}");
        }
        // As long as it may be, and longer by its encoding.
        let long = |letters| format!("http://a.example/{}", "é".repeat(letters));
        assert!(canonical(&long(338)).is_ok());
        assert_eq!(canonical(&long(339)), Err(EndpointError::TooLong));
    }
}
