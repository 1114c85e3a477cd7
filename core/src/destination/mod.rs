//! Where messages go over HTTP: a URL that was checked, and the policy that it was checked against.

mod endpoint;
mod error;
mod host;
mod metadata;
mod policy;
mod text;
#[cfg_attr(not(feature = "userinfo"), path = "no_userinfo.rs")]
mod userinfo;

pub use endpoint::{Endpoint, EndpointBuf, Scheme};
pub use error::EndpointError;
pub use host::Host;
pub use policy::{Policy, Refusal};
