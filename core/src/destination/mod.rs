//! Where messages go over HTTP: a URL that was checked, and the policy that it was checked against.

mod endpoint;
mod error;
mod host;
mod metadata;
#[cfg_attr(not(feature = "nats"), path = "no_nats.rs")]
mod nats;
mod policy;
mod scheme;
mod text;
#[cfg_attr(not(feature = "userinfo"), path = "no_userinfo.rs")]
mod userinfo;

pub use endpoint::{Endpoint, EndpointBuf};
pub use error::EndpointError;
pub use host::Host;
pub use policy::{Policy, Refusal};
pub use scheme::Scheme;
