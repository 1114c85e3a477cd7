//! The daemon's plugin contract: services that start by order, and stop in reverse.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::plugin::bus::EventBus;

/// The longest a service may take to stop (the daemon's own bound).
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A future in a box, so that [`Service`] can be an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who this node is.
pub trait Identity: Send + Sync {
    /// The node's id.
    fn node_id(&self) -> u32;
}

/// What a daemon gives its services. All of it is optional.
#[derive(Clone, Default)]
pub struct Deps {
    /// Where events are published.
    pub events: Option<Arc<dyn EventBus>>,
    /// Who the node is.
    pub identity: Option<Arc<dyn Identity>>,
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps")
            .field("events", &self.events.is_some())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

/// What a service's start or stop failed with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A plugin of the daemon.
pub trait Service: Send + Sync {
    /// Its name, for messages.
    fn name(&self) -> &'static str;

    /// Lower orders start earlier: core foundations at 50 to 79, application services from 100.
    fn order(&self) -> u32;

    /// Starts, and returns when it is ready.
    fn start<'a>(&'a self, deps: &'a Deps) -> BoxFuture<'a, Result<(), BoxError>>;

    /// Stops. It has [`STOP_TIMEOUT`] for that.
    fn stop(&self) -> BoxFuture<'_, Result<(), BoxError>>;
}

/// Why a service did not start or stop.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServiceError {
    /// It returned an error.
    Failed {
        /// Which service.
        service: &'static str,
        /// The error.
        error: BoxError,
    },
    /// It panicked. The daemon goes on.
    Panicked {
        /// Which service.
        service: &'static str,
    },
    /// It did not stop in time, and was left.
    Stalled {
        /// Which service.
        service: &'static str,
    },
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { service, error } => write!(f, "{service}: {error}"),
            Self::Panicked { service } => write!(f, "{service}: panicked"),
            Self::Stalled { service } => write!(f, "{service}: did not stop in time"),
        }
    }
}

impl std::error::Error for ServiceError {}

/// The services of a daemon. Must be used within a tokio runtime.
#[derive(Default)]
pub struct ServiceRegistry {
    services: Vec<Arc<dyn Service>>,
    started: Vec<Arc<dyn Service>>,
}

impl ServiceRegistry {
    /// A registry without services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service, to be started with the others.
    pub fn register(&mut self, service: Arc<dyn Service>) {
        self.services.push(service);
    }

    /// Starts all services by order; those of the same order as they were registered.
    ///
    /// # Errors
    /// The first that fails. Those that were started before it are stopped again.
    pub async fn start(&mut self, deps: &Deps) -> Result<(), ServiceError> {
        self.services.sort_by_key(|service| service.order());
        for service in std::mem::take(&mut self.services) {
            let (starting, deps) = (Arc::clone(&service), deps.clone());
            let start = tokio::spawn(async move { starting.start(&deps).await });
            if let Err(error) = outcome(service.name(), start).await {
                self.stop().await;
                return Err(error);
            }
            self.started.push(service);
        }
        Ok(())
    }

    /// Stops what was started, in reverse, and returns what went wrong with it.
    pub async fn stop(&mut self) -> Vec<ServiceError> {
        let mut errors = Vec::new();
        while let Some(service) = self.started.pop() {
            let stopping = Arc::clone(&service);
            let stop = tokio::spawn(async move { stopping.stop().await });
            let abort = stop.abort_handle();
            match timeout(STOP_TIMEOUT, outcome(service.name(), stop)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => errors.push(error),
                Err(_) => {
                    abort.abort();
                    errors.push(ServiceError::Stalled { service: service.name() });
                }
            }
        }
        errors
    }
}

async fn outcome(
    service: &'static str,
    task: JoinHandle<Result<(), BoxError>>,
) -> Result<(), ServiceError> {
    match task.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ServiceError::Failed { service, error }),
        Err(_) => Err(ServiceError::Panicked { service }),
    }
}

impl fmt::Debug for ServiceRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |services: &[Arc<dyn Service>]| -> Vec<_> {
            services.iter().map(|service| service.name()).collect()
        };
        f.debug_struct("ServiceRegistry")
            .field("services", &names(&self.services))
            .field("started", &names(&self.started))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    type Log = Arc<Mutex<Vec<String>>>;

    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        StartFails,
        StartPanics,
        StopPanics,
        StopHangs,
    }

    struct Fake(&'static str, u32, Fault, Log);

    impl Fake {
        fn log(&self, what: &str) {
            self.3.lock().unwrap().push(format!("{what} {}", self.0));
        }
    }

    impl Service for Fake {
        fn name(&self) -> &'static str {
            self.0
        }

        fn order(&self) -> u32 {
            self.1
        }

        fn start<'a>(&'a self, _: &'a Deps) -> BoxFuture<'a, Result<(), BoxError>> {
            Box::pin(async {
                self.log("start");
                match self.2 {
                    Fault::StartFails => Err("no".into()),
                    Fault::StartPanics => panic!("expected"),
                    _ => Ok(()),
                }
            })
        }

        fn stop(&self) -> BoxFuture<'_, Result<(), BoxError>> {
            Box::pin(async {
                self.log("stop");
                match self.2 {
                    Fault::StopPanics => panic!("expected"),
                    Fault::StopHangs => std::future::pending().await,
                    _ => Ok(()),
                }
            })
        }
    }

    fn registry(services: &[(&'static str, u32, Fault)]) -> (ServiceRegistry, Log) {
        let log = Log::default();
        let mut registry = ServiceRegistry::new();
        for &(name, order, fault) in services {
            registry.register(Arc::new(Fake(name, order, fault, Arc::clone(&log))));
        }
        (registry, log)
    }

    #[tokio::test]
    async fn services_start_by_order_and_stop_in_reverse() {
        let (mut registry, log) = registry(&[
            ("app", 100, Fault::None),
            ("core", 50, Fault::None),
            ("hook", 90, Fault::None),
        ]);
        registry.start(&Deps::default()).await.unwrap();
        assert!(registry.stop().await.is_empty());
        let expected =
            ["start core", "start hook", "start app", "stop app", "stop hook", "stop core"];
        assert_eq!(*log.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn a_start_that_fails_or_panics_stops_what_was_started() {
        for fault in [Fault::StartFails, Fault::StartPanics] {
            let (mut registry, log) =
                registry(&[("a", 1, Fault::None), ("b", 2, fault), ("c", 3, Fault::None)]);
            let error = registry.start(&Deps::default()).await.unwrap_err();
            assert!(error.to_string().starts_with("b: "), "{error}");
            assert_eq!(*log.lock().unwrap(), ["start a", "start b", "stop a"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_that_hangs_or_panics_does_not_keep_the_others() {
        let (mut registry, log) = registry(&[
            ("a", 1, Fault::None),
            ("b", 2, Fault::StopHangs),
            ("c", 3, Fault::StopPanics),
        ]);
        registry.start(&Deps::default()).await.unwrap();
        let before = tokio::time::Instant::now();
        let errors: Vec<_> = registry.stop().await.iter().map(ToString::to_string).collect();
        assert_eq!(errors, ["c: panicked", "b: did not stop in time"]);
        assert!(before.elapsed() <= STOP_TIMEOUT + Duration::from_millis(10));
        assert_eq!(log.lock().unwrap().last().unwrap(), "stop a");
    }
}
