//! What several of the modules test with.

pub(crate) mod bench;
pub(crate) mod sent;
pub(crate) mod still;
