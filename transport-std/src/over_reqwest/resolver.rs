//! Names to addresses for reqwest, with the destination policy in between.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pilot_webhook_core::Policy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::timeout;

use crate::http::allowed;
use crate::http::{HttpError, HttpShared};

/// The resolver and the policy of the client, as reqwest wants them.
#[derive(Clone)]
pub(crate) struct Resolver {
    shared: HttpShared,
    /// The host of the proxy that the attempt under way goes through.
    hop: Arc<Mutex<Option<Box<str>>>>,
}

impl Resolver {
    pub(crate) fn new(shared: &HttpShared) -> Self {
        Self { shared: shared.clone(), hop: Arc::default() }
    }

    /// The attempt that begins goes through this proxy. The operator named it, so it may be in a private network.
    pub(crate) fn goes_through(&self, host: Option<Box<str>>) {
        *self.hop() = host;
    }

    fn hop(&self) -> MutexGuard<'_, Option<Box<str>>> {
        self.hop.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.hop().as_deref() == Some(name.as_str());
        let shared = self.shared.clone();
        Box::pin(async move {
            let policy = if is_proxy { Policy::default() } else { shared.get().policy };
            match addresses(&shared, name.as_str(), policy).await {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(error) => Err(Box::new(LookUpFault(Mutex::new(Some(error)))) as _),
            }
        })
    }
}

/// The addresses that may be connected to. Port 0 stands for the URL's.
async fn addresses(
    shared: &HttpShared,
    name: &str,
    policy: Policy,
) -> Result<Vec<SocketAddr>, HttpError> {
    let shared = shared.get();
    policy.check_name(name).map_err(HttpError::Refused)?;
    let found = timeout(shared.dial_time, shared.look_ups.addresses(name)).await;
    let found = found.map_err(|_| HttpError::LookUpTimedOut { name: name.into() })?;
    let allowed = allowed(policy, &found.map_err(HttpError::Resolve)?)?;
    Ok(allowed.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
}

/// Why there are no addresses, on its way through reqwest.
#[derive(Debug)]
pub(crate) struct LookUpFault(Mutex<Option<HttpError>>);

impl LookUpFault {
    /// The error; none when it was taken before.
    pub(crate) fn take(&self) -> Option<HttpError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Display for LookUpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no address")
    }
}

impl Error for LookUpFault {}
