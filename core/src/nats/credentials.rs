//! What a user of an operator's account shows: a JWT, which the account signed, and the key that the JWT names.

use core::fmt;

use super::nkey::{Seed, SeedError};

/// A user's JWT and seed: what is in a `.creds` file. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials<'a> {
    jwt: &'a str,
    seed: Seed,
}

impl<'a> Credentials<'a> {
    /// Of a JWT and the seed of the user that it names. Whether they belong together, and until when they are
    /// good, is for the server to say.
    ///
    /// # Errors
    /// [`SeedError::Jwt`] when it is none.
    pub fn new(jwt: &'a str, seed: Seed) -> Result<Self, SeedError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let has_three_parts = jwt.split('.').filter(|part| !part.is_empty()).count() == 3
            && jwt.bytes().filter(|byte| *byte == b'.').count() == 2;
        if has_three_parts && jwt.bytes().all(is_plain) {
            Ok(Self { jwt, seed })
        } else {
            Err(SeedError::Jwt)
        }
    }

    /// Of a `.creds` file's text, as `nsc` writes it. The JWT stays where it is.
    ///
    /// # Errors
    /// When there is no JWT, or no seed of a user.
    pub fn parse(text: &'a str) -> Result<Self, SeedError> {
        let jwt = section(text, "JWT").ok_or(SeedError::Jwt)?;
        let seed = section(text, "SEED").ok_or(SeedError::NoSeed)?;
        Self::new(jwt, Seed::parse(seed)?)
    }

    pub(super) const fn jwt(&self) -> &'a str {
        self.jwt
    }

    pub(super) const fn seed(&self) -> &Seed {
        &self.seed
    }
}

/// The line behind `-----BEGIN ... <label>-----`.
fn section<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_begin = |line: &str| {
        let name = line.strip_prefix("---").map(|line| line.trim_matches('-'));
        name.is_some_and(|name| name.starts_with("BEGIN ") && name.ends_with(label))
    };
    lines.find(|line| is_begin(line))?;
    lines.next().filter(|line| !line.starts_with("---"))
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}
