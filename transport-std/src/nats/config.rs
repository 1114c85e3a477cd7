//! Options of the connection to a NATS server.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_nats::ConnectOptions;
use pilot_webhook_core::nats::Seed;

use crate::http::{HttpConfigError, Trust};
use crate::nats::error::NatsError;
use crate::nats::link::Links;
use crate::nats::target::NatsTarget;

/// Options of the connection to a NATS server. The default connects without credentials, and trusts the
/// system's certificates for `tls://`.
#[derive(Clone, Default)]
#[must_use = "`build` makes what transports share"]
pub struct NatsConfig {
    credentials: Option<PathBuf>,
    nkey: Option<PathBuf>,
    user: Option<(String, String)>,
    token: Option<String>,
    ca_files: Vec<PathBuf>,
}

/// Why a [`NatsConfig`] cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum NatsConfigError {
    /// The credentials file cannot be read, or holds no credentials.
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
    /// The file with a user's key cannot be read, or holds no seed of a user.
    NKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
    /// A CA file cannot be used.
    Trust(HttpConfigError),
}

impl NatsConfig {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The file with a user's JWT and seed, as `nsc` writes it. It is read once, when this is built.
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.credentials = Some(path.into());
        self
    }

    /// The file with a user's key: the seed (`SU...`) alone, as `nk -gen user` writes it. The server knows the user by
    /// the public half. It is read once, when this is built.
    pub fn nkey_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.nkey = Some(path.into());
        self
    }

    /// A user and a password.
    pub fn user_and_password(
        mut self,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        self.user = Some((user.into(), password.into()));
        self
    }

    /// A token, which some servers want instead of a user.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// For `tls://`, also trust the CA certificates of this PEM file.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_files.push(path.into());
        self
    }

    /// What the transports of one client share: one connection to a server. Reads files.
    ///
    /// # Errors
    /// When a file cannot be read, or does not hold what it should.
    pub fn build(self) -> Result<NatsShared, NatsConfigError> {
        if !self.ca_files.is_empty() {
            // What is wrong with them is found out now, too.
            Trust::read(false, self.ca_files.clone()).map_err(NatsConfigError::Trust)?;
        }
        let credentials = self.credentials.map(|path| {
            let read = std::fs::read_to_string(&path);
            // That they are credentials is found out now, and not at the first event.
            let checked =
                read.and_then(|text| ConnectOptions::with_credentials(&text).map(|_| text));
            checked.map_err(|error| NatsConfigError::Credentials { path, error })
        });
        let nkey = self.nkey.map(|path| {
            let read = std::fs::read_to_string(&path);
            let checked = read.and_then(|text| match Seed::parse(text.trim()) {
                Ok(_) => Ok(text.trim().to_owned()),
                Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            });
            checked.map_err(|error| NatsConfigError::NKey { path, error })
        });
        let login = Login {
            credentials: credentials.transpose()?,
            nkey: nkey.transpose()?,
            user: self.user,
            token: self.token,
        };
        Ok(NatsShared { links: Arc::new(Links::new(login, self.ca_files)) })
    }
}

/// Who we say that we are.
pub(crate) struct Login {
    credentials: Option<String>,
    nkey: Option<String>,
    user: Option<(String, String)>,
    token: Option<String>,
}

impl Login {
    /// Adds what there is to the options of a connection.
    pub(crate) fn add_to(&self, mut options: ConnectOptions) -> ConnectOptions {
        if let Some((user, password)) = &self.user {
            options = options.user_and_password(user.clone(), password.clone());
        }
        if let Some(token) = &self.token {
            options = options.token(token.clone());
        }
        if let Some(seed) = &self.nkey {
            options = options.nkey(seed.clone());
        }
        if let Some(credentials) = &self.credentials {
            // They were read before.
            options = match options.credentials(credentials) {
                Ok(options) => options,
                Err(_) => ConnectOptions::new(),
            };
        }
        options
    }
}

/// What the transports of one client share. Cheap to clone.
#[derive(Clone)]
pub struct NatsShared {
    pub(crate) links: Arc<Links>,
}

impl NatsShared {
    /// The connection to the target's server, which is made when there is none yet. For what a transport does not
    /// do: streams, consumers.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn client(&self, target: &NatsTarget) -> Result<async_nats::Client, NatsError> {
        let cell = self.links.to(target).await?;
        let link = cell.get().ok_or(NatsError::Disconnected)?;
        Ok(link.context().client())
    }
}

impl fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsConfig").field("ca_files", &self.ca_files).finish_non_exhaustive()
    }
}

impl fmt::Debug for NatsShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsShared").finish_non_exhaustive()
    }
}

impl fmt::Display for NatsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials { path, error } => {
                write!(f, "{}: no NATS credentials: {error}", path.display())
            }
            Self::NKey { path, error } => {
                write!(f, "{}: no key of a NATS user: {error}", path.display())
            }
            Self::Trust(error) => error.fmt(f),
        }
    }
}

impl Error for NatsConfigError {}
