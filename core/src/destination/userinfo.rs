//! The user name and the password in a URL, as the credentials of a request (RFC 7617).

use heapless::string::StringView;

use crate::ascii::number;
use crate::base64::{self, BASIC};
use crate::destination::error::EndpointError;
use crate::destination::text::{is_plain_byte, part, push, split_before};

/// `user:password` of a URL, which can be sent.
#[derive(Clone, Copy)]
pub(super) struct Userinfo<'a>(Option<&'a str>);

impl<'a> Userinfo<'a> {
    /// What stands before the `@` of an authority, if it has one, and what stands behind.
    ///
    /// # Errors
    /// When there is no user name, or a letter that does not belong there.
    pub(super) fn split(authority: &'a str) -> Result<(Self, &'a str), EndpointError> {
        let (userinfo, host) = split_before(authority, "@");
        let Some(host) = host.strip_prefix('@') else { return Ok((Self(None), authority)) };
        let user = split_before(userinfo, ":").0;
        // In a user name a colon cannot be told from the one behind it.
        let is_user = !user.is_empty() && decoded(user).all(|byte| byte != Ok(b':'));
        if is_user && decoded(userinfo).all(|byte| byte.is_ok()) {
            Ok((Self(Some(userinfo)), host))
        } else {
            Err(EndpointError::Userinfo)
        }
    }

    pub(super) const fn is_there(self) -> bool {
        self.0.is_some()
    }

    /// Appends the value of `Authorization` that it amounts to; `None` when it does not fit.
    pub(super) fn write(self, text: &mut StringView) -> Option<()> {
        let Some(userinfo) = self.0 else { return Some(()) };
        push(text, BASIC)?;
        let colon = (!userinfo.contains(':')).then_some(b':');
        let bytes = decoded(userinfo).filter_map(Result::ok).chain(colon);
        base64::encode(bytes, |letters| push(text, letters))
    }
}

/// The value of `Authorization`, empty without one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Credentials<'a>(&'a str);

impl<'a> Credentials<'a> {
    /// What stands behind the URL.
    pub(super) fn behind(text: &'a str, url_end: u16) -> Self {
        Self(part(text, url_end.into(), text.len()))
    }

    pub(super) const fn get(self) -> Option<&'a str> {
        if self.0.is_empty() { None } else { Some(self.0) }
    }
}

/// The bytes, with percent-encodings resolved; an error for each that does not belong there (RFC 3986, section 3.2.1).
fn decoded(text: &str) -> impl Iterator<Item = Result<u8, ()>> {
    let mut rest = text.bytes();
    core::iter::from_fn(move || {
        let byte = rest.next()?;
        let byte = match byte {
            b'%' => {
                let digits = [rest.next().unwrap_or(b' '), rest.next().unwrap_or(b' ')];
                let byte = number(&digits, 16).and_then(|byte| u8::try_from(byte).ok());
                byte.filter(|byte| !byte.is_ascii_control())
            }
            byte => is_plain_byte(byte).then_some(byte),
        };
        Some(byte.ok_or(()))
    })
}
