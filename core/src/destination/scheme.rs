//! What a URL begins with.

/// Plain or over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `http`, port 80 unless given.
    Http,
    /// `https`, port 443 unless given.
    Https,
    /// `nats`, port 4222 unless given. With the feature `nats`.
    #[cfg(feature = "nats")]
    Nats,
    /// `tls`, which is NATS over TLS, port 4222 unless given. With the feature `nats`.
    #[cfg(feature = "nats")]
    Tls,
}

impl Scheme {
    /// The name as it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            #[cfg(feature = "nats")]
            Self::Nats => "nats",
            #[cfg(feature = "nats")]
            Self::Tls => "tls",
        }
    }

    /// The name, and what stands behind it.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http://",
            Self::Https => "https://",
            #[cfg(feature = "nats")]
            Self::Nats => "nats://",
            #[cfg(feature = "nats")]
            Self::Tls => "tls://",
        }
    }

    /// The port that a URL without one means.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            // https://docs.nats.io/running-a-nats-service/configuration
            #[cfg(feature = "nats")]
            Self::Nats | Self::Tls => 4222,
        }
    }

    /// Whether it is over TLS.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        match self {
            Self::Https => true,
            #[cfg(feature = "nats")]
            Self::Tls => true,
            _ => false,
        }
    }
}
