//! The subject that an event is published to.

use core::fmt;

use crate::ascii::hex;
use crate::json::{DIGITS, decimal};

/// The longest topic in a subject, in bytes. The whole topic is in the body. Arbitrary: a protocol line of
/// nats-server has 4,096 bytes at most (`max_control_line`), and a longer one ends the connection.
const TOPIC_MAX: usize = 512;

/// `PREFIX.<node id>.<topic>`. What a subject cannot hold is percent-encoded: white space, control
/// characters, `*`, `>`, `%`, and a dot that would make an empty token. A longer topic is cut.
///
/// ```
/// use pilot_webhook_core::nats::Subject;
/// let subject = Subject { prefix: "pilot", node_id: 7, topic: "conn.established" };
/// assert_eq!(subject.to_string(), "pilot.7.conn.established");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The beginning, of one token or several.
    pub prefix: &'a str,
    /// The node that the event is from.
    pub node_id: u32,
    /// The event's topic.
    pub topic: &'a str,
}

impl Subject<'_> {
    /// Writes it.
    pub(super) fn write_to(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(self.prefix)?;
        out.write_char('.')?;
        out.write_str(decimal(self.node_id.into(), &mut [0; DIGITS]))?;
        out.write_char('.')?;
        let (mut length, mut at_token) = (0, true);
        let mut rest = self.topic.chars();
        // The longest letter has 4 bytes, each of them 3 when it is encoded.
        while length + 12 <= TOPIC_MAX
            && let Some(letter) = rest.next()
        {
            let is_plain = match letter {
                '.' => {
                    // There is room for a letter behind it.
                    let has_next = length + 12 < TOPIC_MAX;
                    has_next && !at_token && !matches!(rest.clone().next(), None | Some('.'))
                }
                '*' | '>' | '%' => false,
                letter => !letter.is_whitespace() && !letter.is_control(),
            };
            if is_plain {
                out.write_char(letter)?;
                length += letter.len_utf8();
                at_token = letter == '.';
                continue;
            }
            for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                out.write_char('%')?;
                for digit in hex(byte) {
                    out.write_char(char::from(digit.to_ascii_uppercase()))?;
                }
                length += 3;
            }
            at_token = false;
        }
        // An empty topic would be an empty token.
        if length == 0 { out.write_char('%') } else { Ok(()) }
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString as _};

    use super::*;
    use proptest::prelude::*;

    fn subject(topic: &str) -> String {
        Subject { prefix: "pilot", node_id: 7, topic }.to_string()
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

    #[test]
    fn one_that_is_cut_behind_a_dot_ends_with_no_empty_token() {
        for length in 490..=520 {
            let subject = subject(&("a".repeat(length) + ".b.c.d.e.f.g.h"));
            assert!(subject.split('.').all(|token| !token.is_empty()), "{length}: {subject}");
        }
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
