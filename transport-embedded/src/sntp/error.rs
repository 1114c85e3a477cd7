//! Why an SNTP query failed.

use core::fmt;

use sntpc::KissOfDeathCode;

/// Why an SNTP server did not tell the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SntpError {
    /// The server's name did not resolve. The operator checks the name and the resolver.
    Resolve,
    /// The question could not be sent.
    Network,
    /// No answer within the time limit.
    Timeout,
    /// Datagrams arrived within the time limit, but none that answers the query: from another address, to
    /// another query, or not SNTP at all.
    Unasked,
    /// The server refuses further queries (kiss-o'-death `DENY` or `RSTR`). The operator names another one.
    Denied,
    /// The server asks for a pause (any other kiss-o'-death).
    Busy,
    /// The server says that it does not know the time, or contradicts itself.
    Unfit,
    /// The server tells a time before [`SntpConfig::earliest`](crate::SntpConfig::earliest).
    TooEarly,
}

impl From<sntpc::Error> for SntpError {
    fn from(error: sntpc::Error) -> Self {
        use sntpc::Error as Cause;
        match error {
            Cause::Network | Cause::AddressResolve => Self::Network,
            Cause::IncorrectOriginTimestamp
            | Cause::IncorrectMode
            | Cause::IncorrectPayload
            | Cause::ResponseAddressMismatch => Self::Unasked,
            Cause::KissOfDeath(KissOfDeathCode::Deny | KissOfDeathCode::Rstr) => Self::Denied,
            Cause::KissOfDeath(_) => Self::Busy,
            _ => Self::Unfit,
        }
    }
}

impl fmt::Display for SntpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the time server's name did not resolve",
            Self::Network => "the time server could not be asked",
            Self::Timeout => "the time server did not answer",
            Self::Unasked => "what came was no answer of the time server",
            Self::Denied => "the time server forbids to be asked",
            Self::Busy => "the time server wants to be left alone",
            Self::Unfit => "the time server does not know the time",
            Self::TooEarly => "the time server's clock is in the past",
        })
    }
}

impl core::error::Error for SntpError {}
