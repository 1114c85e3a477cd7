//! What no caller can see exactly.

use super::State;
use crate::engine::config::Config;

/// The numbers that Marsaglia's generator is known by.
#[test]
fn random_numbers_are_those_of_xorshift() {
    let mut state = State::<[u8; 0], (), 0>::new(Config::DEFAULT, [], 0);
    state.random = 1;
    let numbers = [(); 5].map(|()| state.next_random());
    assert_eq!(numbers, [270_369, 67_634_689, 2_647_435_461, 307_599_695, 2_398_689_233]);
}
