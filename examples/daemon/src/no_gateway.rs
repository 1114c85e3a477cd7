//! What stands for a gateway in a build without NATS: nothing.

use std::convert::Infallible;
use std::sync::Arc;

use pilot_webhook_std::{ClientBuilder, Hub};

use crate::Failure;
use crate::args::Run;
use crate::config::Declared;
use crate::tally::Tally;

#[derive(clap::Args)]
pub(crate) struct FromStream {}

pub(crate) struct Gateway(Infallible);

pub(crate) struct Taking(Infallible);

impl FromStream {
    #[allow(clippy::unused_self, reason = "with NATS it is asked")]
    pub(crate) const fn is_given(&self) -> bool {
        false
    }

    #[allow(clippy::unused_self, reason = "with NATS it is asked")]
    pub(crate) const fn url(&self) -> Option<&str> {
        None
    }

    #[allow(clippy::unused_self, reason = "with NATS it is asked")]
    pub(crate) const fn problem(&self) -> Option<String> {
        None
    }
}

pub(crate) fn relayed(client: ClientBuilder) -> ClientBuilder {
    client
}

impl Gateway {
    #[allow(clippy::unused_async, reason = "with NATS it connects")]
    pub(crate) async fn open(_: &Run, _: Option<&[Declared]>) -> Result<Option<Self>, Failure> {
        Ok(None)
    }

    pub(crate) fn start(self, _: Hub, _: Arc<Tally>) -> Taking {
        match self.0 {}
    }
}

#[allow(clippy::unused_async, reason = "with NATS they wait")]
impl Taking {
    pub(crate) async fn follow(&mut self, _: &[Declared]) -> Vec<String> {
        match self.0 {}
    }

    pub(crate) async fn stop(&mut self) {
        match self.0 {}
    }

    pub(crate) async fn settled(self) {
        match self.0 {}
    }
}
