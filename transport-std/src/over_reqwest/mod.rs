//! HTTP over reqwest: through a proxy, or with a client that the user configured, and HTTP/2 where the server has it.

mod fault;
mod proxy;
mod resolver;
mod transport;

pub use proxy::{Proxy, ProxyError};
pub use transport::ReqwestTransport;
