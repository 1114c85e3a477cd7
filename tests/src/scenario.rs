//! What a scenario is made of.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use pilot_webhook_core::http::{Malformed, Response};
use pilot_webhook_core::{ErrorKind, Policy, RetryAfter};

use crate::{Certificate, Script};

/// Names and their addresses, for a transport's resolver.
pub type Names = &'static [(&'static str, &'static [IpAddr])];

/// What a transport is to be made with.
pub struct Setup {
    /// The destination policy.
    pub policy: Policy,
    /// The only authority to trust, in PEM.
    pub ca_pem: String,
    /// The names that its resolver knows. It fails for any other.
    pub names: Names,
}

/// What a kind of transport can do. Scenarios that need more are left out.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    /// Speaks TLS.
    pub tls: bool,
    /// Resolves names, with the resolver of [`Setup`].
    pub names: bool,
    /// Learns all addresses of a name, and not only one of each family.
    pub all_addresses: bool,
    /// Keeps connections alive.
    pub keep_alive: bool,
    /// Speaks TLS 1.2, too.
    pub tls12: bool,
    /// Reads answers by core's rules: the status counts, whatever is wrong with the rest. A library has rules of its own.
    pub reads_by_core: bool,
}

impl Abilities {
    /// Everything.
    pub const ALL: Self = Self {
        tls: true,
        names: true,
        all_addresses: true,
        keep_alive: true,
        tls12: true,
        reads_by_core: true,
    };
}

/// The result that a post must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// An answer.
    Answer(Response),
    /// No answer, for one of these reasons.
    Fails(&'static [ErrorKind]),
    /// [`ErrorKind::Protocol`], and the error's text says this.
    Malformed(Malformed),
    /// Nothing, within 300 ms of the server's having read it; then the future is dropped.
    Nothing,
}

impl Expect {
    /// An answer with a status, and no `Retry-After`.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Answer(Response::status(status))
    }

    /// An answer with a status and a `Retry-After`.
    #[must_use]
    pub const fn retry_after(status: u16, retry_after: RetryAfter) -> Self {
        Self::Answer(Response { status, retry_after: Some(retry_after) })
    }
}

/// One thing that a scenario's client does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Posts the next body.
    Post(Expect),
    /// Posts a body that is larger than all the buffers on its way.
    PostLarge(Expect),
    /// Waits until the server has closed so many connections and the client's kernel knows.
    Closed(usize),
    /// Waits until the server has sent so many bytes, TLS' own not counted.
    Sent(usize),
}

/// A server's behaviour, what is posted to it, and what the results must be.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is about.
    pub name: &'static str,
    /// What the server does on each connection; `None` if it refuses connections.
    pub server: Option<Vec<Script>>,
    /// The server's certificate, for `https`.
    pub tls: Option<Certificate>,
    /// `https`, even if the server has no certificate.
    pub https: bool,
    /// The host to post to.
    pub host: &'static str,
    /// The transport's policy.
    pub policy: Policy,
    /// What the resolver knows.
    pub names: Names,
    /// What the client does.
    pub steps: Vec<Step>,
    /// How many connections the server must have accepted in the end.
    pub connections: RangeInclusive<usize>,
    /// The posts that the server must have read, by number, in order.
    pub arrived: Vec<usize>,
    /// Whether a connection must be used twice.
    pub keep_alive: bool,
    /// Whether core's rules about answers decide.
    pub read_by_core: bool,
}

impl Scenario {
    /// A plain server at 127.0.0.1 that accepts as many connections as there are scripts, and each
    /// post arrives once.
    #[must_use]
    pub fn new<const N: usize>(
        name: &'static str,
        scripts: [Script; N],
        steps: impl IntoIterator<Item = Step>,
    ) -> Self {
        let steps: Vec<_> = steps.into_iter().collect();
        let posts =
            steps.iter().filter(|step| matches!(step, Step::Post(_) | Step::PostLarge(_))).count();
        Self {
            name,
            server: Some(scripts.into()),
            tls: None,
            https: false,
            host: "127.0.0.1",
            policy: Policy { deny_private: false },
            names: &[],
            keep_alive: N < posts,
            read_by_core: false,
            steps,
            connections: N..=N,
            arrived: (0..posts).collect(),
        }
    }

    /// Over TLS, with a certificate.
    #[must_use]
    pub fn tls(mut self, certificate: Certificate) -> Self {
        (self.tls, self.https) = (Some(certificate), true);
        self
    }

    /// Posted to by a name that resolves to these addresses.
    #[must_use]
    pub fn resolved(mut self, names: Names) -> Self {
        self.names = names;
        self.host = names[0].0;
        self
    }

    /// Only these posts arrive.
    #[must_use]
    pub fn arrived(mut self, posts: impl IntoIterator<Item = usize>) -> Self {
        self.arrived = posts.into_iter().collect();
        self
    }

    /// So many connections, instead of one for each script.
    #[must_use]
    pub fn connections(mut self, count: RangeInclusive<usize>) -> Self {
        self.connections = count;
        self
    }

    pub(crate) fn is_for(&self, abilities: Abilities) -> bool {
        (abilities.tls || !self.https)
            && (abilities.names || self.names.is_empty())
            && (abilities.all_addresses || !self.needs_all_addresses())
            && (abilities.keep_alive || !self.keep_alive)
            && (abilities.reads_by_core || !self.read_by_core)
    }

    fn needs_all_addresses(&self) -> bool {
        self.names.iter().any(|(_, addresses)| {
            let of_v4 = addresses.iter().filter(|address| address.is_ipv4()).count();
            of_v4 > 1 || addresses.len() - of_v4 > 1
        })
    }
}
