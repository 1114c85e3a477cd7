//! What is said to a server.

use core::fmt;

#[cfg(feature = "ed25519")]
use super::{Credentials, Seed};
use super::{Session, Subject};
use crate::destination::Endpoint;
use crate::event::MessageId;
use crate::json::{DIGITS, EncodeError, Writer, decimal};
use crate::transport::Message;

/// The header by which a stream recognises what it has stored already.
const ID: &str = "Nats-Msg-Id";
/// What headers begin with.
const VERSION: &[u8] = b"NATS/1.0\r\n";

/// How a client proves who it is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Login<'a> {
    /// Not at all.
    #[default]
    None,
    /// With the token of all clients.
    Token(&'a str),
    /// With a name and a password.
    User {
        /// The user's name.
        name: &'a str,
        /// The password, as it is.
        password: &'a str,
    },
    /// With a key that the server knows the user by.
    #[cfg(feature = "ed25519")]
    NKey(&'a Seed),
    /// With a JWT, and the key of the user that it names.
    #[cfg(feature = "ed25519")]
    Jwt(&'a Credentials<'a>),
}

impl<'a> Login<'a> {
    /// The JWT; empty without one.
    #[must_use]
    pub const fn jwt(self) -> &'a str {
        match self {
            #[cfg(feature = "ed25519")]
            Self::Jwt(credentials) => credentials.jwt(),
            _ => "",
        }
    }

    /// What signs the server's nonce.
    #[cfg(feature = "ed25519")]
    pub(super) const fn seed(self) -> Option<&'a Seed> {
        match self {
            Self::NKey(seed) => Some(seed),
            Self::Jwt(credentials) => Some(credentials.seed()),
            Self::None | Self::Token(_) | Self::User { .. } => None,
        }
    }
}

/// Shows no secret.
impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Token(_) => "Token(...)",
            Self::User { .. } => "User(...)",
            #[cfg(feature = "ed25519")]
            Self::NKey(_) => "NKey(...)",
            #[cfg(feature = "ed25519")]
            Self::Jwt(_) => "Jwt(...)",
        })
    }
}

/// Where answers go: `_INBOX.<node id>-<instance>.<number of the publication>`, a name that no other start of
/// any node has. It is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inbox {
    node_id: u32,
    instance: u64,
}

impl Inbox {
    /// The inbox of the start that a message is from.
    #[must_use]
    pub const fn of(message: &Message<'_>) -> Self {
        Self { node_id: message.id.node_id, instance: message.id.instance }
    }

    fn write_to(self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.push(b"_INBOX.")?;
        out.integer(self.node_id.into())?;
        out.push(b"-")?;
        out.hex(&self.instance.to_be_bytes())?;
        out.push(b".")
    }
}

/// Writes what a client says first on a connection: who it is, and that it wants the answers. Returns how many
/// bytes of it go before the login's [`jwt`](Login::jwt), which is written from where it is: it is longer than a
/// node's buffer. The session is that of the connection, and [takes](Session::takes) the login.
///
/// # Errors
/// When it does not fit: 200 bytes, and the login, which is 170 bytes for one by a key.
pub fn hello(
    out: &mut Writer<'_>,
    login: Login<'_>,
    session: &Session,
    inbox: Inbox,
) -> Result<usize, EncodeError> {
    out.push(
        b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true",
    )?;
    out.push(b",\"protocol\":1,\"lang\":\"rust\",\"version\":\"")?;
    out.push(env!("CARGO_PKG_VERSION").as_bytes())?;
    out.push(b"\",\"name\":\"pilot-webhook ")?;
    out.integer(inbox.node_id.into())?;
    out.push(b"\"")?;
    match login {
        Login::None => {}
        Login::Token(token) => {
            out.push(b",\"auth_token\":")?;
            out.string(token)?;
        }
        Login::User { name, password } => {
            out.push(b",\"user\":")?;
            out.string(name)?;
            out.push(b",\"pass\":")?;
            out.string(password)?;
        }
        #[cfg(feature = "ed25519")]
        Login::NKey(_) | Login::Jwt(_) => {}
    }
    let jwt_at = sign(out, login, session)?;
    out.push(b"}\r\nSUB ")?;
    inbox.write_to(out)?;
    out.push(b"* 1\r\n")?;
    Ok(jwt_at)
}

/// Writes what proves that the login's key is ours, if it is by one. Returns where the JWT goes.
#[cfg(feature = "ed25519")]
fn sign(out: &mut Writer<'_>, login: Login<'_>, session: &Session) -> Result<usize, EncodeError> {
    let Some(seed) = login.seed() else { return Ok(out.length()) };
    out.push(b",\"sig\":\"")?;
    seed.sign(session.nonce(), out)?;
    if login.jwt().is_empty() {
        out.push(b"\",\"nkey\":\"")?;
        out.push(seed.public().as_str().as_bytes())?;
    } else {
        out.push(b"\",\"jwt\":\"")?;
    }
    let jwt_at = out.length();
    out.push(b"\"")?;
    Ok(jwt_at)
}

#[cfg(not(feature = "ed25519"))]
const fn sign(out: &Writer<'_>, _: Login<'_>, _: &Session) -> Result<usize, EncodeError> {
    Ok(out.length())
}

/// Writes the publication of a message up to its body. The body follows, and `\r\n`.
///
/// # Errors
/// When it does not fit: 130 bytes, the subject, and the message's headers.
pub fn publication(
    out: &mut Writer<'_>,
    to: &Endpoint<'_>,
    message: &Message<'_>,
    inbox: Inbox,
    number: u32,
) -> Result<(), EncodeError> {
    let mut id = [0; MessageId::LENGTH];
    let mut writer = Writer::new(&mut id);
    message.id.write_to(&mut writer)?;
    let id = (ID, core::str::from_utf8(writer.finish()).unwrap_or_default());
    let headers = || message.headers.iter().copied().chain([id]);
    let length = |(name, value): (&str, &str)| name.len() + value.len() + 4;
    let length = VERSION.len() + headers().map(length).sum::<usize>() + 2;

    let prefix = to.target().trim_start_matches('/');
    let subject = Subject { prefix, node_id: message.id.node_id, topic: message.topic.as_str() };
    out.push(b"HPUB ")?;
    subject.write_to(out).map_err(|_| EncodeError::TooLong)?;
    out.push(b" ")?;
    inbox.write_to(out)?;
    let lengths = [length, length + message.body.len()];
    out.integer(number.into())?;
    for length in lengths {
        out.push(b" ")?;
        out.push(decimal(length as u64, &mut [0; DIGITS]).as_bytes())?;
    }
    out.push(b"\r\n")?;
    out.push(VERSION)?;
    for (name, value) in headers() {
        for part in [name, ": ", value, "\r\n"] {
            out.push(part.as_bytes())?;
        }
    }
    out.push(b"\r\n")
}
