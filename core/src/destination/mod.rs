//! Where messages go over HTTP: a URL that was checked, and the policy that it was checked against.

mod endpoint;
mod error;
mod host;
mod metadata;
mod policy;
mod userinfo;

pub use endpoint::{Endpoint, EndpointBuf, Scheme};
pub use error::EndpointError;
pub use host::Host;
pub use policy::{Policy, Refusal};
