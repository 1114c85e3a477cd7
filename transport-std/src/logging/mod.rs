//! What log lines are made with.

pub(crate) mod printable;
pub(crate) mod throttle;

pub use printable::Printable;
pub use throttle::Throttle;

/// The longest text of an error in a log line or a dead letter, in bytes. Arbitrary: enough for a chain of
/// reasons.
pub(crate) const ERROR_MAX: usize = 512;
