//! A number that nobody else has.

use std::hash::{BuildHasher as _, RandomState};

/// Another number each time: a hash under the random keys that the standard library takes from the system.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}
