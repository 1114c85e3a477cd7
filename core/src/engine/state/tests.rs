//! What no caller can see exactly.

use super::{State, first_random};
use crate::engine::config::Config;

/// The numbers that Marsaglia's generator is known by.
#[test]
fn random_numbers_are_those_of_xorshift() {
    let mut state = State::<[u8; 0], (), 0>::new(Config::DEFAULT, [], 0);
    state.random = 1;
    let numbers = [(); 5].map(|()| state.next_random());
    assert_eq!(numbers, [270_369, 67_634_689, 2_647_435_461, 307_599_695, 2_398_689_233]);
}

/// The upper half of what the mixer is known to make of these, with the lowest bit set.
#[test]
fn the_generator_begins_with_what_murmurhash3_makes_of_the_seed() {
    let firsts = [0, 1, 2, 0x0123_4567_89ab_cdef, u64::MAX].map(first_random);
    assert_eq!(firsts, [1, 0xb456_bcfd, 0x3abf_2a21, 0x87cb_fbff, 0x64b5_720b]);
}
