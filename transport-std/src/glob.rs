//! Topic patterns: `*` stands for any text, everything else for itself.

/// Whether `topic` matches `pattern`. In time proportional to the product of their lengths, at
/// worst.
pub(crate) fn matches(pattern: &str, topic: &str) -> bool {
    let (pattern, topic) = (pattern.as_bytes(), topic.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star stands, and how much of the topic it has taken.
    let mut star = None;
    while t < topic.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == topic.get(t) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, taken)) = star {
            // The star takes one byte more.
            star = Some((at, taken + 1));
            (p, t) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// The text that `pattern` begins with, and each topic that matches it.
pub(crate) fn start(pattern: &str) -> &str {
    pattern.split('*').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, topic, expected) in [
            ("*", "", true),
            ("*", "conn.fin", true),
            ("tunnel.*", "tunnel.established", true),
            ("tunnel.*", "tunnel.", true),
            ("tunnel.*", "tunnel", false),
            ("tunnel.*", "tunnels.up", false),
            ("*.fin", "conn.fin", true),
            ("*.fin", "conn.fin.x", false),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("conn.fin", "conn.fin", true),
            ("conn.fin", "conn.fi", false),
            ("", "", true),
            ("", "a", false),
            ("**", "a", true),
        ] {
            assert_eq!(matches(pattern, topic), expected, "{pattern} {topic}");
        }
    }

    /// The definition, in exponential time.
    fn naive(pattern: &[u8], topic: &[u8]) -> bool {
        match pattern.split_first() {
            None => topic.is_empty(),
            Some((b'*', rest)) => (0..=topic.len()).any(|n| naive(rest, &topic[n..])),
            Some((byte, rest)) => topic.first() == Some(byte) && naive(rest, &topic[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*]{0,8}", topic in "[ab]{0,10}") {
            prop_assert_eq!(matches(&pattern, &topic), naive(pattern.as_bytes(), topic.as_bytes()));
        }

        #[test]
        fn a_topic_matches_itself_and_every_prefix_of_it(topic in "[a-z.]{0,20}", cut in 0_usize..20) {
            prop_assert!(matches(&topic, &topic));
            prop_assert!(matches("*", &topic));
            let pattern = format!("{}*", &topic[..cut.min(topic.len())]);
            prop_assert!(matches(&pattern, &topic));
        }
    }
}
