//! What a JetStream server's answer to a publication means.

use super::Fault;
use crate::ascii::number;
use crate::transport::{Reply, Verdict};

/// The code of a message that was stored. NATS has none; HTTP's is what people know.
pub const STORED: u16 = 200;
/// No stream has the subject: the status that the server answers with.
pub const NO_STREAM: u16 = 503;
/// The server's `max_payload` is exceeded. HTTP's code for it.
pub const TOO_LARGE: u16 = 413;

/// JetStream's code: the message is longer than the stream takes.
const MESSAGE_EXCEEDS_MAXIMUM: u32 = 10_054;
/// JetStream's code: the headers are longer than a stream takes.
const HEADER_EXCEEDS_MAXIMUM: u32 = 10_097;

/// What JetStream's own code of an error (`err_code`) says. Most are about the stream: full, sealed, without a
/// leader. Those end when an operator or a consumer makes room, so the event stays.
#[must_use]
pub fn judge(code: u32) -> Reply {
    let verdict = match code {
        MESSAGE_EXCEEDS_MAXIMUM => Verdict::TooLarge,
        HEADER_EXCEEDS_MAXIMUM => Verdict::Refused,
        _ => Verdict::Later(None),
    };
    Reply { verdict, code: u16::try_from(code).unwrap_or(u16::MAX).max(1) }
}

/// An answer's headers, empty if it has none, and its payload.
pub(super) fn read(headers: &[u8], payload: &[u8]) -> Result<Reply, Fault> {
    match headers.strip_prefix(b"NATS/1.0 ").and_then(|rest| rest.get(..3)) {
        // No stream has the subject, unless it is another status; in any case nobody has the event.
        Some(status) => {
            let status = number(status, 10).ok_or(Fault::Malformed)?;
            let code = u16::try_from(status).unwrap_or(NO_STREAM).max(1);
            Ok(Reply { verdict: Verdict::Later(None), code })
        }
        None => stored(payload),
    }
}

/// `{"stream":"S","seq":1}`, or `{"error":{"code":503,"err_code":10077,"description":"..."}}`, with more
/// members in any order.
fn stored(json: &[u8]) -> Result<Reply, Fault> {
    let (mut has_stream, mut has_sequence, mut has_error) = (false, false, false);
    let (mut status, mut code) = (None, None);
    let is_object = members(json, |outer, name, value| match (outer, name) {
        (b"", b"stream") => has_stream = value.len() > 2,
        (b"", b"seq") => has_sequence = value.iter().any(|digit| (b'1'..=b'9').contains(digit)),
        (b"", b"error") => has_error = value != b"null",
        (b"error", b"code") => status = number(value, 10),
        (b"error", b"err_code") => code = number(value, 10),
        _ => {}
    });
    match code.or(status) {
        _ if !is_object => Err(Fault::Malformed),
        Some(code) => Ok(judge(code)),
        None if has_stream && has_sequence && !has_error => {
            Ok(Reply { verdict: Verdict::Accepted, code: STORED })
        }
        None => Err(Fault::Malformed),
    }
}

/// Tells the members of an object, and those of the objects in it, with the outer member's name and the value as
/// it is written; of an object or an array its first byte. Whether it was one object, to its end.
///
/// It looks at no more of the grammar than that takes.
fn members<'j>(json: &'j [u8], mut each: impl FnMut(&'j [u8], &'j [u8], &'j [u8])) -> bool {
    let (mut depth, mut outer, mut name) = (0_u32, &b""[..], &b""[..]);
    let (mut rest, mut is_begun) = (json, false);
    while let Some((&first, behind)) = rest.split_first() {
        let length = match first {
            b' ' | b'\t' | b'\r' | b'\n' => 1,
            _ if depth == 0 && (is_begun || first != b'{') => return false,
            b'"' => {
                let Some(end) = end_of_text(behind) else { return false };
                end + 2
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            _ => rest.iter().position(|byte| b",}] \t\r\n".contains(byte)).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, b""));
        let is_name = first == b'"' && after.trim_ascii_start().starts_with(b":");
        match first {
            b' ' | b'\t' | b'\r' | b'\n' | b':' => {}
            b',' => name = b"",
            b'{' | b'[' => {
                if depth == 1 {
                    each(b"", name, token);
                    outer = if first == b'{' { name } else { b"[" };
                }
                (depth, name, is_begun) = (depth + 1, b"", true);
            }
            b'}' | b']' => {
                depth -= 1;
                name = b"";
                if depth == 1 {
                    outer = b"";
                }
            }
            _ if is_name => name = token.get(1..token.len() - 1).unwrap_or_default(),
            _ if depth <= 2 => each(outer, name, token),
            _ => {}
        }
        rest = after;
    }
    depth == 0 && is_begun
}

/// Where the text ends whose opening quote is before `text`.
fn end_of_text(text: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    text.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(json: &str) -> Option<(Verdict, u16)> {
        let reply = read(b"", json.as_bytes()).ok()?;
        Some((reply.verdict, reply.code))
    }

    const ACCEPTED: Option<(Verdict, u16)> = Some((Verdict::Accepted, 200));
    const LATER: Verdict = Verdict::Later(None);

    #[test]
    fn a_stored_message_has_a_stream_and_a_sequence() {
        assert_eq!(verdict(r#"{"stream":"S", "seq":1}"#), ACCEPTED);
        assert_eq!(verdict(r#" { "seq" : 20, "duplicate":true,"stream" : "S" } "#), ACCEPTED);
        assert_eq!(verdict(r#"{"stream":"S","seq":1,"error":null}"#), ACCEPTED);
        assert_eq!(verdict(r#"{"error2":{"code":1},"stream":"a\"b","seq":1}"#), ACCEPTED);
        for wrong in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"stream":"S"}"#,
            r#"{"stream":"","seq":1}"#,
            r#"{"stream":"S","seq":0}"#,
            r#"{"stream":"S","seq":1,"error":{}}"#,
            r#"{"stream":"S","seq":1"#,
            r#"{"stream":"S","seq":1}}"#,
            r#"{"stream":"S","seq":1} {"#,
            r#"{"a":"\"stream\":\"S\",\"seq\":1"}"#,
            r#"{"a":{"stream":"S","seq":1}}"#,
            r#"[{"stream":"S","seq":1}]"#,
        ] {
            assert_eq!(verdict(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_error_says_what_it_means() {
        let error = |code: u32| {
            std::format!(
                r#"{{"error":{{"code":400,"err_code":{code},"description":"x"}},"stream":"S","seq":0}}"#
            )
        };
        assert_eq!(verdict(&error(10_077)), Some((LATER, 10_077)));
        assert_eq!(verdict(&error(10_054)), Some((Verdict::TooLarge, 10_054)));
        assert_eq!(verdict(&error(10_097)), Some((Verdict::Refused, 10_097)));
        assert_eq!(verdict(r#"{"error":{"code":503}}"#), Some((LATER, 503)));
        assert_eq!(verdict(r#"{"error":{"x":{"err_code":1}}}"#), None);
    }

    #[test]
    fn a_status_is_a_later() {
        let reply = read(b"NATS/1.0 503\r\n\r\n", b"").unwrap();
        assert_eq!((reply.verdict, reply.code), (LATER, NO_STREAM));
        assert_eq!(read(b"NATS/1.0 5", b""), Err(Fault::Malformed));
        assert_eq!(read(b"NATS/1.0 abc\r\n\r\n", b""), Err(Fault::Malformed));
        assert!(read(b"NATS/1.0\r\nA: b\r\n\r\n", br#"{"stream":"S","seq":1}"#).is_ok());
    }
}
