//! What a request may carry. How it is written is a transport's own affair.

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
    let is_name = !name.is_empty() && name.bytes().all(is_token);
    is_name && value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

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
