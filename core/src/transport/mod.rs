//! The edge towards the network: one attempt.

use core::fmt;
use core::future::Future;

use crate::event::MessageId;
use crate::queue::Text;

mod headers;
mod retry_after;

pub use headers::Headers;
pub(crate) use headers::ROOM;
pub use retry_after::RetryAfter;
pub(crate) use retry_after::parse_date;

/// One attempt's message: an event or a batch, with its headers and its body.
///
/// Transports get it; only tests and other hosts make one, with [`Message::new`].
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Message<'a> {
    /// The message's id, the same in every attempt.
    pub id: MessageId,
    /// The topic of the first event, as it stands in a JSON string: without escapes, as all of pilot's
    /// topics are, it is the topic itself.
    pub topic: Text<'a>,
    /// The attempt's number in this round, from 1.
    pub attempt: u8,
    /// An earlier attempt failed, or this is the breaker's probe: a transport looks its target up
    /// anew and uses no connection that it kept.
    pub fresh: bool,
    /// Header names and values, to be sent as they are. Both are ASCII without control characters.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, byte for byte.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first attempt of a message without a topic, whose id is all zeros.
    #[must_use]
    pub const fn new(headers: &'a [(&'a str, &'a str)], body: &'a [u8]) -> Self {
        let id = MessageId { node_id: 0, instance: 0, first: 0, last: 0, events: 1 };
        Self { id, topic: Text::new(""), attempt: 1, fresh: false, headers, body }
    }
}

/// Shows no payload and no signature, so that it can be logged.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {}, attempt {} ({} bytes)", self.id, self.attempt, self.body.len())
    }
}

/// What a receiver's answer means for the message: the transport's own judgement, in the only terms
/// that the engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The receiver has it.
    Accepted,
    /// The receiver will never take it.
    Refused,
    /// The receiver does not take so much at once: a batch is made smaller, one event is refused.
    TooLarge,
    /// The receiver does not take what is in it: of a batch, each event is sent alone; one event is
    /// refused.
    Invalid,
    /// The receiver is there no more, and will take nothing: the endpoint stops until one is set.
    Gone,
    /// The receiver may take it later, and not before what it asked for.
    Later(Option<RetryAfter>),
}

/// A receiver's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it means.
    pub verdict: Verdict,
    /// The transport's own code for it, for people: an HTTP status. Not 0.
    pub code: u16,
}

/// What went wrong with an attempt that brought no answer: the part of a transport's own error
/// that every transport can tell. All of them are retryable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The name did not resolve. The operator checks the URL and the resolver.
    Resolve,
    /// The destination policy refuses every address the name resolved to. The operator checks the
    /// URL, and who answers for that name.
    Refused,
    /// No connection: refused, unreachable, or reset while connecting.
    Connect,
    /// The TLS handshake failed, or the server could not be authenticated. Nothing was sent.
    Tls,
    /// The HTTP timeout passed. The receiver may have got the event.
    Timeout,
    /// The connection broke after the request was begun. The receiver may have got the event.
    Disconnected,
    /// The answer was not HTTP, or larger than the transport's bounds.
    Protocol,
    /// This machine lacked something: a port, a descriptor, memory. It says nothing of the receiver, so
    /// the breaker does not count it.
    Local,
}

impl ErrorKind {
    /// One word for it, in lower case, for counters and fields of logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Refused => "refused",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Disconnected => "disconnected",
            Self::Protocol => "protocol",
            Self::Local => "local",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the host name did not resolve",
            Self::Refused => "the destination policy refuses the resolved address",
            Self::Connect => "the connection could not be made",
            Self::Tls => "the server could not be authenticated over TLS",
            Self::Timeout => "no answer within the HTTP timeout",
            Self::Disconnected => "the connection broke before the answer",
            Self::Protocol => "the answer was not valid HTTP within bounds",
            Self::Local => "this machine has no port, descriptor or memory left",
        })
    }
}

/// A transport's own, richer error.
pub trait TransportError: fmt::Display {
    /// The shared kind it amounts to.
    fn kind(&self) -> ErrorKind;
}

impl TransportError for ErrorKind {
    fn kind(&self) -> ErrorKind {
        *self
    }
}

/// Carries messages to targets of the kind `To`, one at a time, over a connection that it keeps as it
/// likes. It makes one attempt and judges the answer in its own terms; it knows nothing of retries.
///
/// The worker bounds every call by the HTTP timeout and may drop the future at any await point (a
/// swap of the target does). After that, the next `send` must work: an implementation gives up a
/// connection whose message was cut short.
///
/// A transport whose futures may move between threads implements [`SendTransport`] instead.
pub trait Transport<To> {
    /// What an attempt without an answer ends with.
    type Error: TransportError;

    /// Sends `message` and judges the answer.
    ///
    /// # Errors
    /// When there was no final answer.
    fn send(
        &mut self,
        to: &To,
        message: &Message<'_>,
    ) -> impl Future<Output = Result<Reply, Self::Error>>;

    /// The beginning of what the receiver said in the last answer, as far as it was kept, for people. Default: nothing.
    fn answer(&self) -> &[u8] {
        &[]
    }
}

/// A [`Transport`] whose futures are `Send`, so that a worker can be spawned on a runtime of several
/// threads whatever the transport is. It is a `Transport` by that.
pub trait SendTransport<To>: Send {
    /// What an attempt without an answer ends with.
    type Error: TransportError + Send;

    /// As [`Transport::send`].
    ///
    /// # Errors
    /// When there was no final answer.
    fn send(
        &mut self,
        to: &To,
        message: &Message<'_>,
    ) -> impl Future<Output = Result<Reply, Self::Error>> + Send;

    /// As [`Transport::answer`].
    fn answer(&self) -> &[u8] {
        &[]
    }
}

impl<To, T: SendTransport<To>> Transport<To> for T {
    type Error = T::Error;

    fn send(
        &mut self,
        to: &To,
        message: &Message<'_>,
    ) -> impl Future<Output = Result<Reply, Self::Error>> {
        SendTransport::send(self, to, message)
    }

    fn answer(&self) -> &[u8] {
        SendTransport::answer(self)
    }
}
