//! What log lines are made with.

pub(crate) mod printable;
pub(crate) mod throttle;

pub use printable::Printable;
pub use throttle::Throttle;
