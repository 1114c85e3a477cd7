//! In place of `userinfo` without the feature of that name: a URL with a user name is refused.

use core::marker::PhantomData;

use heapless::string::StringView;

use crate::destination::error::EndpointError;

/// There is none.
#[derive(Clone, Copy)]
pub(super) struct Userinfo;

impl Userinfo {
    /// Refuses an authority that has one.
    pub(super) fn split(authority: &str) -> Result<(Self, &str), EndpointError> {
        if authority.bytes().any(|byte| byte == b'@') {
            return Err(EndpointError::Userinfo);
        }
        Ok((Self, authority))
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) const fn is_there(self) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) const fn write(self, _: &mut StringView) -> Option<()> {
        Some(())
    }
}

/// There are none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Credentials<'a>(PhantomData<&'a str>);

impl<'a> Credentials<'a> {
    pub(super) const fn behind(_: &'a str, _: u16) -> Self {
        Self(PhantomData)
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) const fn get(self) -> Option<&'a str> {
        None
    }
}
