//! In place of `nats` without the feature of that name: no URL names a NATS server.

use crate::destination::error::EndpointError;
use crate::destination::scheme::Scheme;

#[expect(clippy::unnecessary_wraps, reason = "as with the feature")]
pub(super) const fn check(_: Scheme, _: bool, _: &str) -> Result<(), EndpointError> {
    Ok(())
}
