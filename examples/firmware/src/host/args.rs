//! The program's arguments: words of the form `key=value`.

use core::{fmt, str::FromStr};

use super::semihosting::{Error, command_line};

/// The words that QEMU was given for the program, as `key=value`.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    line: &'a str,
}

/// An argument whose value is not of the type asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadValue<'a> {
    /// The argument.
    pub key: &'a str,
    /// What it was set to.
    pub value: &'a str,
}

impl fmt::Display for BadValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad value for {}: {}", self.key, self.value)
    }
}

impl core::error::Error for BadValue<'_> {}

impl<'a> Args<'a> {
    /// Fetches the command line into `buffer`.
    ///
    /// # Errors
    ///
    /// [`Error::CommandLine`], among others for a buffer that is too small.
    pub fn from_host(buffer: &'a mut [u8]) -> Result<Self, Error> {
        command_line(buffer).map(|line| Self { line })
    }

    /// The value of `key`, the last one if it comes several times.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.line
            .split_ascii_whitespace()
            .rev()
            .filter_map(|word| word.split_once('='))
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The value of `key`, or `default` if it is missing.
    ///
    /// # Errors
    ///
    /// [`BadValue`] if the value is there and cannot be parsed.
    pub fn parse_or<'k, T: FromStr>(&self, key: &'k str, default: T) -> Result<T, BadValue<'k>>
    where
        'a: 'k,
    {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| BadValue { key, value }),
        }
    }
}
