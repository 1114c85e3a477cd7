//! What a server can be told of an endpoint's filter, as subjects: it keeps the other messages to itself.

use pilot_webhook_core::nats::Subject;

/// Where the dead letters of a stream go.
pub(super) fn dead_subject(stream: &str) -> String {
    format!("dead.{stream}")
}

/// The most subjects of a consumer. Arbitrary: the server compares each message with each of them.
const SUBJECTS_MAX: usize = 64;
/// The longest beginning of a topic that is told, in bytes. Far below where the topic in a subject is cut.
const BEGIN_MAX: usize = 256;

/// The subjects `PREFIX.<node>.<topic>` of all events that such a filter lets pass, and of others: it is looked at again
/// when they are here. None of them is within another. Without any: all subjects.
///
/// A star in a pattern does not stand for empty tokens here, as in the topics `conn.` and `conn..up`.
pub(super) fn subjects(prefix: &str, topics: &[String], nodes: &[u32]) -> Vec<String> {
    let tails: Option<Vec<_>> = topics.iter().map(|topic| tail(topic)).collect();
    let tails = tails.map(widest).filter(|it| !it.is_empty() && it.len() <= SUBJECTS_MAX);
    let tails = tails.unwrap_or_else(|| vec![">".to_owned()]);
    let mut nodes: Vec<_> = nodes.iter().map(u32::to_string).collect();
    nodes.sort_unstable();
    nodes.dedup();
    if nodes.is_empty() || nodes.len() * tails.len() > SUBJECTS_MAX {
        if tails == [">"] {
            return Vec::new();
        }
        nodes = vec!["*".to_owned()];
    }
    let of_node = |node| tails.iter().map(move |tail| format!("{prefix}.{node}.{tail}"));
    nodes.iter().flat_map(of_node).collect()
}

/// Whether a stream with this subject takes some of what is published to `PREFIX.<node>.<topic>`.
pub(super) fn may_take(subject: &str, prefix: &str) -> bool {
    let mut tokens = subject.split('.');
    for token in prefix.split('.') {
        match tokens.next() {
            Some(">") => return true,
            Some(own) if own == "*" || own == token => {}
            _ => return false,
        }
    }
    tokens.next().is_some()
}

/// How the subjects of topics end that match a pattern. `None`: in any way.
fn tail(pattern: &str) -> Option<String> {
    let Some((begin, _)) = pattern.split_once('*') else { return Some(encoded(pattern)) };
    // A star stands for dots, too: behind it nothing can be said, nor of the token that it is in.
    let (tokens, _) = begin.rsplit_once('.')?;
    let is_usual = tokens.len() <= BEGIN_MAX && tokens.split('.').all(|token| !token.is_empty());
    is_usual.then(|| encoded(tokens) + ".>")
}

/// A topic as it stands in a subject.
fn encoded(topic: &str) -> String {
    let subject = Subject { prefix: "", node_id: 0, topic }.to_string();
    subject.strip_prefix(".0.").unwrap_or_default().to_owned()
}

/// Those that are not within another, each once.
fn widest(mut tails: Vec<String>) -> Vec<String> {
    tails.sort_unstable();
    tails.dedup();
    let is_within = |tail: &str| {
        let mut begins =
            tails.iter().filter(|it| *it != tail).filter_map(|it| it.strip_suffix('>'));
        begins.any(|begin| tail.starts_with(begin))
    };
    tails.iter().filter(|tail| !is_within(tail)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use pilot_webhook_std::Filter;
    use proptest::prelude::*;

    use super::*;

    fn of(topics: &[&str], nodes: &[u32]) -> Vec<String> {
        subjects("pilot", &topics.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(), nodes)
    }

    #[test]
    fn what_subjects_can_say_is_said() {
        assert_eq!(of(&["conn.*"], &[]), ["pilot.*.conn.>"]);
        assert_eq!(of(&["conn.up"], &[9, 7, 7]), ["pilot.7.conn.up", "pilot.9.conn.up"]);
        assert_eq!(of(&[], &[7]), ["pilot.7.>"]);
        assert_eq!(of(&["conn.est*", "node.up"], &[]), ["pilot.*.conn.>", "pilot.*.node.up"]);
        assert_eq!(of(&["a b.*"], &[]), ["pilot.*.a%20b.>"]);
    }

    #[test]
    fn what_they_cannot_say_is_left_to_the_gateway() {
        let none: [&str; 0] = [];
        for topics in [&[][..], &["*"], &["*.fin"], &["conn*"], &["a.*", "*"], &["a..*"], &[".*"]] {
            assert_eq!(of(topics, &[]), none, "{topics:?}");
        }
        assert_eq!(of(&["*.fin"], &[7]), ["pilot.7.>"]);
        let many: Vec<u32> = (0..100).collect();
        assert_eq!(of(&["a"], &many), ["pilot.*.a"]);
        assert_eq!(of(&[], &many), none);
    }

    #[test]
    fn none_is_within_another() {
        assert_eq!(
            of(&["conn.up", "conn.*", "conn.a.*", "conn"], &[]),
            ["pilot.*.conn", "pilot.*.conn.>"]
        );
    }

    #[test]
    fn what_would_come_back_is_known() {
        for (subject, is_taken) in [
            ("pilot.>", true),
            ("pilot.*.conn.up", true),
            (">", true),
            ("*.*.>", true),
            ("pilot", false),
            ("other.>", false),
            ("pilot.eu", true),
        ] {
            assert_eq!(may_take(subject, "pilot"), is_taken, "{subject}");
        }
        assert!(may_take("pilot.>", "pilot.eu") && !may_take("pilot.us.>", "pilot.eu"));
    }

    /// Whether a subject is one of those that a pattern of NATS stands for.
    fn covers(pattern: &str, subject: &str) -> bool {
        let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
        loop {
            match (pattern.next(), subject.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(one), Some(other)) if one == other => {}
                _ => return false,
            }
        }
    }

    proptest! {
        /// The server sends whatever the gateway would let pass, but for topics with an empty token.
        #[test]
        fn nothing_is_kept_back_that_the_filter_lets_pass(
            patterns in proptest::collection::vec("[ab.*% ]{0,6}", 0..4),
            nodes in proptest::collection::vec(0_u32..3, 0..3),
            topic in "[ab% ]{1,2}([.][ab% ]{1,2}){0,3}",
            node in 0_u32..3,
        ) {
            let subjects = subjects("pilot.eu", &patterns, &nodes);
            let filter = Filter::new().topics(&patterns).nodes(nodes);
            let subject = Subject { prefix: "pilot.eu", node_id: node, topic: &topic }.to_string();
            let is_sent = subjects.is_empty() || subjects.iter().any(|it| covers(it, &subject));
            prop_assert!(is_sent || !filter.matches(&topic, node), "{subjects:?}");
            for (n, one) in subjects.iter().enumerate() {
                for other in subjects.iter().skip(n + 1) {
                    let is_within = |a: &str, b: &str| a == b || covers(a, &b.replace('>', "x"));
                    prop_assert!(!is_within(one, other) && !is_within(other, one));
                }
            }
        }
    }
}
