//! A connection to a server: one publication and its answer after the other, all decisions and no I/O.

use core::time::Duration;

use heapless::String;

use super::answer::TOO_LARGE;
use super::input::{Input, Said};
use super::{Fault, Login};
use crate::clock::Instant;
use crate::destination::{Endpoint, Scheme};
use crate::http::AUTHORITY_MAX;
use crate::transport::{Message, Reply, Verdict};

/// How long an idle connection is trusted. A server asks every 2 minutes whether somebody is there, and gives up a
/// client that does not answer the second time: nats-server's `ping_interval` and `ping_max`. So a client may
/// sleep for 4 minutes, and answers when it has something to say.
pub const IDLE_MAX: Duration = Duration::from_secs(4 * 60);

/// What is known of one connection, from when it was made until it is of no more use.
#[derive(Clone, Debug)]
pub struct Session {
    /// `None` when it is longer than any that can be compared.
    origin: Option<(Scheme, String<AUTHORITY_MAX>)>,
    used_at: Instant,
    input: Input,
    /// The number of the last publication.
    number: u32,
    state: State,
    owes_pong: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The server has not said who it is.
    New,
    /// The last publication is answered.
    Ready,
    /// A publication is not answered.
    Asked,
    /// It is of no more use.
    Over,
}

impl Session {
    /// Over a connection to `endpoint` that was made just now and carried nothing yet.
    #[must_use]
    pub fn new(endpoint: &Endpoint<'_>, now: Instant) -> Self {
        let authority = String::try_from(endpoint.authority()).ok();
        Self {
            origin: authority.map(|authority| (endpoint.scheme(), authority)),
            used_at: now,
            input: Input::new(),
            number: 0,
            state: State::New,
            owes_pong: false,
        }
    }

    /// Whether the server has said who it is. Until then nothing is to be written.
    #[must_use]
    pub fn is_greeted(&self) -> bool {
        self.state != State::New
    }

    /// Whether the server, which has said who it is, can be told this login.
    ///
    /// # Errors
    /// [`Fault::NoNonce`] when the login is by a key, and the server sent nothing to sign.
    pub fn takes(&self, login: Login<'_>) -> Result<(), Fault> {
        #[cfg(feature = "ed25519")]
        if login.seed().is_some() && self.nonce().is_empty() {
            return Err(Fault::NoNonce);
        }
        let _ = login;
        Ok(())
    }

    /// What the server wants to be signed; empty for nothing.
    #[cfg(feature = "ed25519")]
    pub(super) fn nonce(&self) -> &[u8] {
        self.input.nonce()
    }

    /// Whether this kept connection may be used for `message`: it goes to the endpoint's server, was not idle for
    /// longer than [`IDLE_MAX`], and the message does not ask for a new one. One whose attempt was cut short may
    /// not.
    #[must_use]
    pub fn may_carry(&self, endpoint: &Endpoint<'_>, message: &Message<'_>, now: Instant) -> bool {
        let same = self.origin.as_ref().is_some_and(|(scheme, authority)| {
            *scheme == endpoint.scheme() && authority == endpoint.authority()
        });
        let is_fresh = now.saturating_since(self.used_at) < IDLE_MAX;
        same && is_fresh && !message.fresh && self.is_kept()
    }

    /// Whether the connection is worth keeping.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.state == State::Ready
    }

    /// A publication begins. It has this number.
    pub const fn begin(&mut self) -> u32 {
        self.state = State::Asked;
        self.number = self.number.wrapping_add(1);
        self.number
    }

    /// Whether the server asked whether somebody is there. The transport then writes `PONG\r\n`, once.
    pub const fn take_ping(&mut self) -> bool {
        core::mem::replace(&mut self.owes_pong, false)
    }

    /// Takes what was read, all of it. Tells the answer when it is complete. Answers to earlier publications, and
    /// to none, are ignored.
    ///
    /// # Errors
    /// When the connection is of no more use.
    pub fn received(&mut self, mut bytes: &[u8], now: Instant) -> Result<Option<Reply>, Fault> {
        let mut answer = None;
        loop {
            match self.input.take(&mut bytes) {
                // What went wrong behind the answer does not undo it.
                Err(_) if answer.is_some() => {
                    self.state = State::Over;
                    return Ok(answer);
                }
                Err(fault) => {
                    self.state = State::Over;
                    return Err(fault);
                }
                Ok(None) => return Ok(answer),
                Ok(Some(Said::Info)) if self.state == State::New => self.state = State::Ready,
                // A server says first who it is.
                Ok(Some(_)) if self.state == State::New => {
                    self.state = State::Over;
                    return Err(Fault::Malformed);
                }
                Ok(Some(Said::Ping)) => self.owes_pong = true,
                Ok(Some(Said::Answer(to, reply)))
                    if to == Some(self.number) && self.state == State::Asked =>
                {
                    (self.state, self.used_at) = (State::Ready, now);
                    answer = Some(reply);
                }
                Ok(Some(Said::TooLarge)) if self.state == State::Asked => {
                    self.state = State::Over;
                    return Ok(Some(Reply { verdict: Verdict::TooLarge, code: TOO_LARGE }));
                }
                Ok(Some(Said::TooLarge)) => self.state = State::Over,
                Ok(Some(Said::Info | Said::Nothing | Said::Answer(..))) => {}
            }
        }
    }
}
