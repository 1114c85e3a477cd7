//! Which events an endpoint gets.

use pilot_webhook_core::Event;

use crate::glob;

/// Which events an endpoint of a [`Hub`](crate::Hub) gets, by their topic and the node that they are from. The default
/// is all.
///
/// ```
/// use pilot_webhook_std::Filter;
/// let filter = Filter::new().topics(["conn.*", "tunnel.*"]).exclude(["*.closed"]);
/// assert!(filter.matches("conn.established", 7));
/// assert!(!filter.matches("conn.closed", 7));
/// assert!(!filter.matches("node.up", 7));
/// assert!(!filter.nodes([1, 2]).matches("conn.established", 7));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    topics: Vec<String>,
    exclude: Vec<String>,
    nodes: Vec<u32>,
}

impl Filter {
    /// All events.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those whose topic matches one of these patterns, in which `*` stands for any text. Without any: all.
    #[must_use]
    pub fn topics(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.topics.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// None of those whose topic matches one of these patterns, whatever else says that they match.
    #[must_use]
    pub fn exclude(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.exclude.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Only those of these nodes. Without any: of all nodes.
    #[must_use]
    pub fn nodes(mut self, ids: impl IntoIterator<Item = u32>) -> Self {
        self.nodes.extend(ids);
        self
    }

    /// Whether an event with this topic, of this node, is one of them.
    #[must_use]
    pub fn matches(&self, topic: &str, node_id: u32) -> bool {
        let has = |patterns: &[String]| patterns.iter().any(|it| glob::matches(it, topic));
        (self.nodes.is_empty() || self.nodes.contains(&node_id))
            && (self.topics.is_empty() || has(&self.topics))
            && !has(&self.exclude)
    }

    /// The texts that patterns of its topics begin with: of what it lets pass, each topic begins with one of them.
    pub(super) fn starts(&self) -> impl Iterator<Item = &str> {
        let all = self.topics.is_empty().then_some("");
        all.into_iter().chain(self.topics.iter().map(|it| glob::start(it)))
    }

    pub(crate) fn lets_pass(&self, event: &Event<'_>) -> bool {
        self.matches(event.topic, event.node_id)
    }
}
