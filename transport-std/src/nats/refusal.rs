//! What a server does not permit. It says so of the connection, and the publication has no answer.

use tokio::sync::broadcast;

/// Publications that were refused and that nobody has looked at yet. One attempt each: as many as may be under way.
const UNSEEN: usize = 64;

/// What a server refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused<'t> {
    /// A publication to this subject.
    Publication(&'t str),
    /// The subscription by which answers come: none will come over this connection.
    Answers,
}

impl<'t> Refused<'t> {
    /// From the text of an `-ERR`: `Permissions Violation for Publish to "a.b"`. `None` when it is about something else.
    pub(super) fn by(text: &'t str) -> Option<Self> {
        let at = |part: &str| text.to_ascii_lowercase().find(part).map(|at| at + part.len());
        at("permissions violation")?;
        match at("publish to \"").and_then(|begin| text.get(begin..)) {
            Some(rest) => {
                let end = rest.find('"').unwrap_or(rest.len());
                rest.get(..end).map(Self::Publication)
            }
            None => Some(Self::Answers),
        }
    }
}

/// Tells attempts that their publication was refused.
#[derive(Clone)]
pub(super) struct Refusals(broadcast::Sender<(Box<str>, Box<str>)>);

impl Refusals {
    pub(super) fn new() -> Self {
        Self(broadcast::channel(UNSEEN).0)
    }

    /// A publication to this subject was refused, in the server's words.
    pub(super) fn tell(&self, subject: &str, why: &str) {
        // Nobody may be waiting any more.
        let _ = self.0.send((subject.into(), why.into()));
    }

    /// Completes when a publication to this subject is refused after this was called, with the server's words.
    pub(super) fn of(&self, subject: &str) -> impl Future<Output = String> + use<> {
        let (mut all, subject) = (self.0.subscribe(), Box::<str>::from(subject));
        async move {
            loop {
                match all.recv().await {
                    Ok((refused, why)) if refused == subject => return why.into(),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    // The link is gone, which is told otherwise.
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_the_servers_words() {
        let publish = "Permissions Violation for Publish to \"pilot.7.conn.Up\"";
        assert_eq!(Refused::by(publish), Some(Refused::Publication("pilot.7.conn.Up")));
        let torn = "permissions violation for publish to \"pilot";
        assert_eq!(Refused::by(torn), Some(Refused::Publication("pilot")));
        for answers in [
            "Permissions Violation for Subscription to \"_INBOX.abc.*\"",
            "Permissions Violation for Publish with Reply of \"_INBOX.abc.1\"",
        ] {
            assert_eq!(Refused::by(answers), Some(Refused::Answers), "{answers}");
        }
        for other in ["", "Stale Connection", "maximum payload violation", "publish to \"a\""] {
            assert_eq!(Refused::by(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn each_publication_to_the_subject_is_told_and_no_other() {
        let refusals = Refusals::new();
        let (one, other, same) = (refusals.of("a"), refusals.of("b"), refusals.of("a"));
        refusals.tell("a", "no");
        assert_eq!((one.await, same.await), ("no".to_owned(), "no".to_owned()));
        refusals.tell("b", "never");
        assert_eq!(other.await, "never");
    }
}
