//! NATS's text protocol without I/O, as far as publishing to a JetStream stream needs it.
//!
//! A transport makes a [`Session`] for each connection and reads until it [`is_greeted`](Session::is_greeted).
//! Then it writes the [`hello`] once, and a [`publication`] with the body behind it for each message. It tells the
//! session what it reads, until there is an answer: the message is delivered when the server has stored it, which
//! the server says. Nothing here depends on the pieces that the bytes come in, and nothing grows with them.
//!
//! ```
//! use pilot_webhook_core::nats::{Inbox, Login, SCHEMES, Session, hello, publication};
//! use pilot_webhook_core::{EndpointBuf, Instant, Message, Policy, Verdict, Writer};
//!
//! let url = "nats://broker.example/pilot";
//! let endpoint = EndpointBuf::<64>::parse_with(SCHEMES, url, Policy::default())?;
//! let (message, now) = (Message::new(&[], b"{}"), Instant::from_micros(0));
//! let mut session = Session::new(&endpoint.get(), now);
//! assert_eq!(session.received(b"INFO {\"headers\":true}\r\n", now)?, None);
//! assert!(session.is_greeted());
//!
//! let (mut buf, inbox) = ([0; 512], Inbox::of(&message));
//! let mut out = Writer::new(&mut buf);
//! hello(&mut out, Login::None, &session, inbox)?;
//! publication(&mut out, &endpoint.get(), &message, inbox, session.begin())?;
//! // The transport writes that, the body, and `\r\n`.
//!
//! let stored = b"MSG _INBOX.0-0000000000000000.1 1 24\r\n{\"stream\":\"S\",\"seq\":123}\r\n";
//! let reply = session.received(stored, now)?.expect("all of it is there");
//! assert_eq!((reply.verdict, reply.code), (Verdict::Accepted, 200));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
#[cfg(feature = "ed25519")]
mod credentials;
mod input;
#[cfg(test)]
#[cfg(feature = "ed25519")]
mod login_tests;
#[cfg(feature = "ed25519")]
mod nkey;
#[cfg(feature = "ed25519")]
mod nonce;
mod output;
mod session;
mod subject;
#[cfg(test)]
mod tests;

use core::error::Error;
use core::fmt;

pub use answer::{NO_STREAM, STORED, TOO_LARGE, judge};
#[cfg(feature = "ed25519")]
pub use credentials::Credentials;
#[cfg(feature = "ed25519")]
pub use nkey::{PublicKey, Seed, SeedError};
pub use output::{Inbox, Login, hello, publication};
pub use session::{IDLE_MAX, Session};
pub use subject::Subject;

use crate::destination::Scheme;

/// The schemes of the URLs that name a NATS server.
pub const SCHEMES: &[Scheme] = &[Scheme::Nats, Scheme::Tls];

/// Why a connection to a NATS server is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// What the other end says is not NATS's protocol. The operator checks host and port.
    Malformed,
    /// A message or a line is longer than any that is an answer to a publication.
    TooLong,
    /// The server refuses the login, or wants one; a JWT may have expired, or be revoked. The operator checks the
    /// credentials.
    Credentials,
    /// The login is by a key, and the server sent nothing to sign. The operator gives the server's configuration
    /// users with keys, or takes another login.
    NoNonce,
    /// The server does not let this user publish to the subject, or receive the answer. The operator gives the
    /// user both permissions.
    Permission,
    /// The server ends the connection for another reason: it shuts down, or has too many connections.
    Ended,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the server does not speak NATS's protocol",
            Self::TooLong => "the server's message is longer than an answer can be",
            Self::Credentials => "the server refuses the credentials, or wants some",
            Self::NoNonce => "the server takes no login by a key: it sends nothing to sign",
            Self::Permission => {
                "the server permits this user no publication to the subject, or no answer to its inbox"
            }
            Self::Ended => "the server ended the connection",
        })
    }
}

impl Error for Fault {}
