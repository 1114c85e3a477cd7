//! The protocol of a kept connection: one request and its answer after the other, all decisions and no
//! I/O.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use heapless::String;

use super::Malformed;
use super::answer::Answer;
use super::body::Rest;
use super::fields::Head;
use super::status::Response;
use crate::clock::{Instant, micros};
use crate::destination::{Endpoint, Scheme};
use crate::transport::Message;

/// The most bytes of an answer's body, framing included, that are read to keep the connection.
/// Arbitrary: receivers of webhooks answer with a line or two, and a new connection costs less than
/// more of it.
pub const DRAIN_MAX: usize = 16 * 1_024;
/// How long the next request waits for the rest of the last answer's body before it takes a new
/// connection. Arbitrary: about what a new one costs.
pub const DRAIN_TIME: Duration = Duration::from_millis(250);
/// How long an idle connection is trusted, unless the server says less with `Keep-Alive`. Balancers
/// close or forget idle connections after 60 s and more, and a request sent at that moment is lost.
pub const IDLE_MAX: Duration = Duration::from_secs(55);
/// How old a connection may get. A name may lead elsewhere by then, and only a new connection asks.
/// Arbitrary: the usual time to live of a record that is meant to change.
pub const AGE_MAX: Duration = Duration::from_secs(5 * 60);

/// The longest `host:port`: a name of 253 bytes with a trailing dot, a colon and five digits.
pub(crate) const AUTHORITY_MAX: usize = 260;

/// What is known of one connection, from when it was made until it is of no more use.
///
/// A transport makes one for each connection with [`new`](Self::new), and for each attempt calls, in
/// this order:
/// 1. For a connection that was kept: [`may_carry`](Self::may_carry). While the connection
///    [`is_draining`](Self::is_draining) it reads, for at most [`DRAIN_TIME`]. Then it looks, without
///    waiting, whether something has arrived, and tells it. Only if the connection
///    [`is_ready`](Self::is_ready) then does it carry the request.
/// 2. [`begin`](Self::begin). Then it writes the request, and reads meanwhile if it can: a receiver may
///    answer before it has read the whole request, and close or read no more. It tells what becomes of
///    that: [`wrote`](Self::wrote), [`written`](Self::written), [`write_failed`](Self::write_failed);
///    [`received`](Self::received), [`ended`](Self::ended). An answer or a [`Failure`] is the end of the
///    attempt.
/// 3. After an answer, which is told with its status line: while the connection [`is_draining`](Self::is_draining) it reads what is there,
///    without waiting: the status is known, and waiting for a body that nobody reads could turn a
///    delivery into a timeout. If the connection [`is_kept`](Self::is_kept) then, it is for the next
///    attempt; otherwise it is closed.
///
/// A connection whose attempt was cut short is closed: `may_carry` says so too.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// `None` when it is longer than any that can be compared.
    origin: Option<(Scheme, String<AUTHORITY_MAX>)>,
    made_at: Instant,
    /// Until when it may carry another request.
    kept_until: Instant,
    sent: Sent,
    state: State,
    answer: Answer,
}

/// How much of the request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Nothing,
    Something,
    All,
}

/// What is expected of the server.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing. Whatever arrives is the end of the connection, and not an answer to what is asked next.
    Silence,
    Heads,
    /// The rest of the final head, whose status was told at this time.
    Head(Instant),
    Body(Rest),
    /// Nothing any more.
    Over,
}

impl Exchange {
    /// Over a connection to `endpoint` that was made just now and carried nothing yet.
    #[must_use]
    pub fn new(endpoint: &Endpoint<'_>, now: Instant) -> Self {
        let authority = String::try_from(endpoint.authority()).ok();
        Self {
            origin: authority.map(|authority| (endpoint.scheme(), authority)),
            made_at: now,
            kept_until: now,
            sent: Sent::Nothing,
            state: State::Silence,
            answer: Answer::new(),
        }
    }

    /// Whether this kept connection may be used for `message` at all: it goes to the endpoint's origin,
    /// is neither too old nor idle for too long, and the message does not ask for a new one.
    #[must_use]
    pub fn may_carry(&self, endpoint: &Endpoint<'_>, message: &Message<'_>, now: Instant) -> bool {
        let same = self.origin.as_ref().is_some_and(|(scheme, authority)| {
            *scheme == endpoint.scheme() && authority == endpoint.authority()
        });
        same && !message.fresh && now < self.kept_until && self.is_kept()
    }

    /// Whether the rest of the last answer is still to be read.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        matches!(self.state, State::Head(_) | State::Body(_))
    }

    /// Whether a request may begin: the last answer was read to its end, and nothing came behind it.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.state, State::Silence)
    }

    /// Whether the connection is worth keeping.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.is_ready() || self.is_draining()
    }

    /// A request begins.
    pub fn begin(&mut self) {
        self.sent = Sent::Nothing;
        self.state = State::Heads;
        self.answer = Answer::new();
    }

    /// A byte of the request may have left.
    pub fn wrote(&mut self) {
        if self.sent == Sent::Nothing {
            self.sent = Sent::Something;
        }
    }

    /// All of the request was handed to the network.
    pub const fn written(&mut self) {
        self.sent = Sent::All;
    }

    /// The rest of the request cannot be sent. What the receiver says to the beginning still counts.
    ///
    /// # Errors
    /// [`Failure::Unsent`] when there is no beginning.
    pub fn write_failed(&mut self) -> Result<(), Failure> {
        if self.sent == Sent::Nothing { Err(self.fail(Failure::Unsent)) } else { Ok(()) }
    }

    /// Takes what was read, all of it. Tells the final answer, once: with its status line, or for a status that
    /// may come with `Retry-After` (429, 503) with the end of its head. Nothing that follows changes it, and
    /// nobody waits for it.
    ///
    /// # Errors
    /// When that is no answer, or an answer to nothing. Nothing behind a status line is an error: then the
    /// connection is not kept.
    pub fn received(
        &mut self,
        mut bytes: &[u8],
        now: Instant,
    ) -> Result<Option<Response>, Failure> {
        let mut told = None;
        if let State::Heads | State::Head(_) = self.state {
            if self.sent == Sent::Nothing {
                return Err(self.fail(Failure::Unsent));
            }
            let (taken, head) = match self.answer.take(bytes) {
                Ok(taken) => taken,
                Err(malformed) => return Err(self.fail(Failure::Malformed(malformed))),
            };
            bytes = bytes.get(taken..).unwrap_or_default();
            let response = match &head {
                Some(head) => Some(head.response),
                None => self.answer.so_far().filter(|so_far| !so_far.may_ask_to_wait()),
            };
            if response.is_some() {
                let since = match self.state {
                    State::Head(since) => since,
                    _ => {
                        told = response;
                        now
                    }
                };
                self.settled(head, since, now);
            }
        }
        self.drain(bytes);
        Ok(told)
    }

    /// The connection has ended, in order or not. Tells what that means for an attempt without an
    /// answer: a status line that came is the answer, whatever is missing behind it.
    ///
    /// # Errors
    /// When none came.
    pub fn ended(&mut self) -> Result<Response, Failure> {
        if matches!(self.state, State::Heads)
            && self.sent != Sent::Nothing
            && let Some(response) = self.answer.so_far()
        {
            self.state = State::Over;
            return Ok(response);
        }
        let unsent = self.sent == Sent::Nothing;
        Err(self.fail(if unsent { Failure::Unsent } else { Failure::Broken }))
    }

    fn fail(&mut self, failure: Failure) -> Failure {
        self.state = State::Over;
        failure
    }

    /// The final status was told at `since`. With the whole `head`: is there an end of the answer that is worth waiting
    /// for?
    fn settled(&mut self, head: Option<Head>, since: Instant, now: Instant) {
        const IDLE: u64 = micros(IDLE_MAX);
        const AGE: u64 = micros(AGE_MAX);
        let idle = head.map_or(IDLE, |head| head.idle_max(IDLE));
        self.kept_until = since.later(idle).min(self.made_at.later(AGE));
        let state = match head {
            None => Some(State::Head(since)),
            Some(head) if now < self.kept_until => head.rest(DRAIN_MAX).map(State::Body),
            Some(_) => None,
        };
        self.state = state.filter(|_| self.sent == Sent::All).unwrap_or(State::Over);
    }

    fn drain(&mut self, mut bytes: &[u8]) {
        if let State::Body(rest) = &mut self.state {
            let Some(taken) = rest.take(bytes) else {
                self.state = State::Over;
                return;
            };
            bytes = bytes.get(taken..).unwrap_or_default();
            if rest.is_over() {
                self.state = State::Silence;
            }
        }
        if !bytes.is_empty() {
            // It was not asked for.
            self.state = State::Over;
        }
    }
}

/// Why an attempt has no answer, and with it what comes next. The connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No byte of the request was sent, so surely nobody has processed it. In the place of a connection
    /// that was kept, a new one is made within the same attempt.
    Unsent,
    /// The connection broke after the request was begun. The receiver may have got it: the attempt ends.
    Broken,
    /// The answer is not HTTP/1 within bounds: the attempt ends.
    Malformed(Malformed),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent => f.write_str("the connection broke before the request"),
            Self::Broken => f.write_str("the connection broke before the answer"),
            Self::Malformed(what) => write!(f, "the answer is not valid HTTP: {what}"),
        }
    }
}

impl Error for Failure {}
