//! What a request may carry. How it is written is a transport's own affair.

use core::error::Error;
use core::fmt;

use crate::ascii::is_same;
use crate::base64::{self, BASIC};

/// The names that transports, formats and signers write themselves, or that concern the connection.
const OWN: [&str; 14] = [
    "Host",
    "User-Agent",
    "Content-Length",
    "Content-Type",
    "Content-Encoding",
    "Transfer-Encoding",
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Upgrade",
    "Expect",
    "Date",
];
/// What the names of formats and signers begin with: pilot's, Standard Webhooks', CloudEvents'.
const OWN_PREFIXES: [&str; 3] = ["X-Pilot-", "Webhook-", "ce-"];

/// Why a header cannot be added to requests. The operator corrects or removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderError {
    /// Its name is empty, or has a letter that HTTP does not allow there.
    Name,
    /// Its value has a control character, or white space around it.
    Value,
    /// Requests have a header of that name already.
    Own,
    /// There are credentials already.
    Credentials,
    /// There are more than a message has room for.
    Many,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "HTTP cannot carry a header of that name",
            Self::Value => "HTTP cannot carry the value of that header",
            Self::Own => "requests have a header of that name already",
            Self::Credentials => "credentials can be given once",
            Self::Many => "at most 4 headers can be added",
        })
    }
}

impl Error for HeaderError {}

/// Checks a header that an endpoint asks for, beside those that every request has.
///
/// ```
/// use pilot_webhook_core::http::{HeaderError, check_header};
/// assert_eq!(check_header("X-Api-Key", "1"), Ok(()));
/// assert_eq!(check_header("X-Api-Key", "1\r\nX-Other: 2"), Err(HeaderError::Value));
/// assert_eq!(check_header("content-length", "1"), Err(HeaderError::Own));
/// ```
///
/// # Errors
/// When HTTP cannot carry it, or its name is taken.
pub fn check_header(name: &str, value: &str) -> Result<(), HeaderError> {
    if !is_header(name, "") {
        return Err(HeaderError::Name);
    }
    if !is_header(name, value) || value.trim_matches([' ', '\t']).len() < value.len() {
        return Err(HeaderError::Value);
    }
    let begins_with = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|begin| is_same(begin.as_bytes(), prefix.as_bytes()))
    };
    let is_own = OWN.iter().any(|own| is_same(name.as_bytes(), own.as_bytes()));
    if is_own || OWN_PREFIXES.into_iter().any(begins_with) {
        return Err(HeaderError::Own);
    }
    Ok(())
}

/// Whether a header can be sent as it is (RFC 9110, sections 5.1 and 5.5). What cannot may be read by
/// the receiver as more than a header, or as none.
///
/// ```
/// use pilot_webhook_core::http::is_header;
/// assert!(is_header("X-Id", "1"));
/// assert!(!is_header("X-Id", "1\r\nX-Other: 2"));
/// assert!(!is_header("X Id", "1"));
/// ```
#[must_use]
pub fn is_header(name: &str, value: &str) -> bool {
    let is_token = |byte: u8| TOKEN.get(usize::from(byte)) == Some(&true);
    // Without an end before the last byte, so that the compiler can look at many of them in one step.
    let is_value = |byte: u8| (byte == b'\t') | ((byte >= b' ') & (byte != 0x7f));
    !name.is_empty()
        && name.bytes().all(is_token)
        && value.bytes().fold(true, |all, byte| all & is_value(byte))
}

/// The value of `Authorization` for a user name and a password (RFC 7617), given to `push` piece by piece.
///
/// # Errors
/// [`HeaderError::Value`] when the user name is empty or has a colon in it, or one of the two has a control
/// character.
pub fn basic(user: &str, password: &str, mut push: impl FnMut(&str)) -> Result<(), HeaderError> {
    let is_control = |byte: u8| byte.is_ascii_control();
    if user.is_empty() || user.bytes().chain(password.bytes()).any(is_control) || user.contains(':')
    {
        return Err(HeaderError::Value);
    }
    let mut push = |text: &str| {
        push(text);
        Some(())
    };
    let bytes = user.bytes().chain([b':']).chain(password.bytes());
    let pushed = push(BASIC).and_then(|()| base64::encode(bytes, push));
    pushed.ok_or(HeaderError::Value)
}

/// Which bytes of ASCII are tokens.
static TOKEN: [bool; 128] = {
    let mut table = [false; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = is_token(byte);
        byte += 1;
    }
    table
};

/// `tchar` of RFC 9110, section 5.6.2: what names of headers are made of.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The letters beside letters and digits in the RFC.
    const TCHAR: &str = "!#$%&'*+-.^_`|~";

    #[test]
    fn only_tokens_are_names_and_no_value_ends_its_line() {
        for byte in 0..=0x7f_u8 {
            let mut text = [b'a'; 3];
            text[1] = byte;
            let text = core::str::from_utf8(&text).unwrap();
            let letter = char::from(byte);
            let is_token = letter.is_ascii_alphanumeric() || TCHAR.contains(letter);
            assert_eq!(is_header(text, "1"), is_token, "name with {byte:#x}");
            let is_value = letter == '\t' || !letter.is_ascii_control();
            assert_eq!(is_header("X-Id", text), is_value, "value with {byte:#x}");
        }
        assert!(!is_header("", "1") && !is_header("é", "1"));
        assert!(is_header("X-Id", "") && is_header("X-Id", "é"));
    }

    #[test]
    fn what_an_endpoint_asks_for_is_no_header_of_ours() {
        for name in ["host", "CONTENT-TYPE", "te", "x-pilot-new", "Webhook-Id", "CE-id", "Expect"] {
            assert_eq!(check_header(name, "1"), Err(HeaderError::Own), "{name}");
        }
        for name in ["Authorization", "X-Pilo", "X-Pilots", "Webhooks", "cert", "Tea", "Accept"] {
            assert_eq!(check_header(name, "a b"), Ok(()), "{name}");
        }
        assert_eq!(check_header("a b", "1"), Err(HeaderError::Name));
        for value in [" 1", "1 ", "\t", "a\nb", "a\0"] {
            assert_eq!(check_header("A", value), Err(HeaderError::Value), "{value:?}");
        }
        assert_eq!(check_header("A", "ü\t1"), Ok(()));
    }
}
