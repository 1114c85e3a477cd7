//! The subject that an event is published to.

use std::fmt::Write as _;

/// The longest topic in a subject, in bytes. The whole topic is in the body. Arbitrary: a protocol line of
/// nats-server has 4,096 bytes at most (`max_control_line`), and a longer one ends the connection.
const TOPIC_MAX: usize = 512;

/// `PREFIX.<node id>.<topic>`. What a subject cannot hold is percent-encoded: white space, control
/// characters, `*`, `>`, `%`, and a dot that would make an empty token. A longer topic is cut.
pub(crate) fn write(out: &mut String, prefix: &str, node_id: u32, topic: &str) {
    out.clear();
    let _ = write!(out, "{prefix}.{node_id}.");
    let begin = out.len();
    let mut at_token = true;
    let mut rest = topic.chars().peekable();
    while let Some(letter) = rest.next() {
        // The longest letter has 4 bytes, each of them 3 when it is encoded.
        if out.len() - begin + 12 > TOPIC_MAX {
            break;
        }
        let is_plain = match letter {
            '.' => !at_token && !matches!(rest.peek(), None | Some('.')),
            '*' | '>' | '%' => false,
            letter => !letter.is_whitespace() && !letter.is_control(),
        };
        if is_plain {
            out.push(letter);
            at_token = letter == '.';
            continue;
        }
        for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
            let _ = write!(out, "%{byte:02X}");
        }
        at_token = false;
    }
    if out.len() == begin {
        // An empty topic would be an empty token.
        out.push('%');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subject(topic: &str) -> String {
        let mut out = String::from("what was there before");
        write(&mut out, "pilot", 7, topic);
        out
    }

    #[test]
    fn topics_of_pilot_are_subjects_as_they_are() {
        assert_eq!(subject("conn.established"), "pilot.7.conn.established");
        assert_eq!(subject("webhook"), "pilot.7.webhook");
    }

    #[test]
    fn what_a_subject_cannot_hold_is_percent_encoded() {
        assert_eq!(subject(""), "pilot.7.%");
        assert_eq!(subject("a b"), "pilot.7.a%20b");
        assert_eq!(subject("*.>"), "pilot.7.%2A.%3E");
        assert_eq!(subject("100%"), "pilot.7.100%25");
        assert_eq!(subject(".a"), "pilot.7.%2Ea");
        assert_eq!(subject("a."), "pilot.7.a%2E");
        assert_eq!(subject("a..b"), "pilot.7.a%2E.b");
        assert_eq!(subject("ä\u{2028}"), "pilot.7.ä%E2%80%A8");
    }

    proptest! {
        #[test]
        fn every_topic_makes_a_subject_that_a_server_takes(topic in "\\PC*|[.*> %a\\r\\n\\x00]*") {
            let subject = subject(&topic);
            prop_assert!(subject.len() <= TOPIC_MAX + "pilot.7.".len());
            prop_assert!(subject.split('.').all(|token| !token.is_empty()), "{}", subject);
            let is_bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>');
            prop_assert!(!subject.contains(is_bad), "{}", subject);
        }

        #[test]
        fn two_short_topics_have_two_subjects(a in "[.*> %ab]{0,8}", b in "[.*> %ab]{0,8}") {
            prop_assert_eq!(a == b, subject(&a) == subject(&b));
        }
    }
}
