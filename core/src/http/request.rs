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
}
