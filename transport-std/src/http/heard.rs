//! What a server said, as it came over the connection, read by those who look at more than the status.

/// The bytes of the heads of an answer whose body is wanted. Longer ones leave less of the body, or nothing.
pub(crate) const HEADS: usize = 8 * 1024;

/// The value of a header of the final answer, which may follow interim ones.
pub(crate) fn field<'h>(heard: &'h [u8], name: &str) -> Option<&'h str> {
    let (head, _) = final_answer(heard);
    head.split(|byte| *byte == b'\n').find_map(|line| {
        // What is no text is no header that matters here.
        let line = std::str::from_utf8(line).ok()?;
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The body of the final answer, as far as it came.
pub(crate) fn body(heard: &[u8]) -> Vec<u8> {
    let (_, body) = final_answer(heard);
    let coding = field(heard, "Transfer-Encoding");
    let is_chunked = coding.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if is_chunked { chunks(body) } else { body.to_vec() }
}

/// The headers of the final answer, and what follows them.
fn final_answer(mut heard: &[u8]) -> (&[u8], &[u8]) {
    loop {
        let (head, behind) = split_head(heard);
        let status = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        if !status.starts_with(b"1") {
            return (head, behind);
        }
        heard = behind;
    }
}

/// A head, and what follows it. Lines may end with a line feed alone.
fn split_head(heard: &[u8]) -> (&[u8], &[u8]) {
    let mut begin = 0;
    while let Some(length) = heard[begin..].iter().position(|byte| *byte == b'\n') {
        let end = begin + length + 1;
        if heard[begin..end].trim_ascii().is_empty() && begin > 0 {
            return heard.split_at(end);
        }
        begin = end;
    }
    (heard, &[])
}

/// What is in chunks (RFC 9112, section 7.1), up to the first that is none.
fn chunks(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(line) = body.iter().position(|byte| *byte == b'\n') {
        let size = body[..line].split(|byte| *byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(size.trim_ascii()).ok();
        let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()) else { break };
        let behind = &body[line + 1..];
        let (chunk, behind) = behind.split_at_checked(size).unwrap_or((behind, &[]));
        whole.extend_from_slice(chunk);
        if size == 0 {
            break;
        }
        body = behind.strip_prefix(b"\r\n").unwrap_or(behind);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_final_head_counts() {
        let heads = b"HTTP/1.1 103 Early\r\nX: early\r\n\r\nHTTP/1.1 200 OK\r\ny\xe9: 1\r\nx:  late \r\n\r\nX: body\r\n";
        assert_eq!(field(heads, "X"), Some("late"));
        assert_eq!(field(heads, "Y"), None);
    }

    #[test]
    fn the_body_follows_the_final_head() {
        for (heard, expected) in [
            (&b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nok"[..], &b"ok"[..]),
            (b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 500 No\r\n\r\nok\r\n\r\n", b"ok\r\n\r\n"),
            (b"HTTP/1.1 500 No\nX: y\n\nok", b"ok"),
            (b"HTTP/1.1 500 No\r\nX: y\r\n", b""),
            (b"HTTP/1.1 500", b""),
            (b"\r\nHTTP/1.1 500 No\r\n\r\nok", b"ok"),
            (b"", b""),
        ] {
            assert_eq!(body(heard), expected, "{heard:?}");
        }
    }

    #[test]
    fn chunks_are_put_together() {
        for (chunked, expected) in [
            (&b"2\r\nok\r\n0\r\n\r\n"[..], &b"ok"[..]),
            (b"1;a=b\r\no\r\n01\r\nk\r\n0\r\nX: y\r\n\r\n", b"ok"),
            (b"9\r\nok", b"ok"),
            (b"2\r\nok\r\nzz", b"ok"),
            (b"2\r\nok\r\nffffffffffffffffff\r\n", b"ok"),
            (b"no", b""),
        ] {
            let head = &b"HTTP/1.1 500 No\r\ntransfer-encoding: Chunked\r\n\r\n"[..];
            assert_eq!(body(&[head, chunked].concat()), expected, "{chunked:?}");
        }
    }
}
