//! The options of a node's webhook.

use pilot_webhook_core::{Config, Format, Observer, PilotFormat, Policy, Signer};

/// The options of a webhook; the defaults are those of pilot's Go plugin.
///
/// ```
/// # use pilot_webhook_embassy::Options;
/// let mut options = Options::new(7, 0x5eed);
/// options.config.batch = 8;
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Options {
    /// The node that events are from.
    pub node_id: u32,
    /// A random number that no other start of any node has: message ids are unique by it and show it,
    /// so do not use the network stack's.
    pub seed: u64,
    /// How the engine behaves. `max_event_bytes` is what the resources have room for.
    pub config: Config,
    /// Where events may go.
    pub policy: Policy,
    /// The format of bodies and their headers.
    pub format: &'static dyn Format,
    /// A signer of each attempt, in addition to the secret: for Standard Webhooks a static
    /// [`Keys`](crate::standard::Keys), whose keys are added and retired at any time; for headers of every
    /// request, such as an `Authorization` or the key of an API, [`FixedHeaders`](crate::FixedHeaders); or a pair
    /// of signers. With the feature `userinfo`, a user name and password in the URL go before an `Authorization`
    /// here.
    pub signer: &'static dyn Signer,
    /// A hook that is called with every attempt and with the end of every event: in the task that delivers,
    /// and in the tasks and interrupts that emit.
    pub observer: &'static (dyn Observer + Sync),
}

impl Options {
    /// The defaults.
    #[must_use]
    pub const fn new(node_id: u32, seed: u64) -> Self {
        Self {
            node_id,
            seed,
            config: Config::DEFAULT,
            policy: Policy::DEFAULT,
            format: &PilotFormat,
            signer: &(),
            observer: &(),
        }
    }
}
