//! `traceparent`: the trace that an attempt is part of, as W3C Trace Context (version 00) has it.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use pilot_webhook_core::{Headers, MessageId, Signer, ToSign};

/// The header's name.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// Adds the header to each attempt, if it is wanted.
pub(crate) struct Trace {
    pub(crate) is_wanted: bool,
}

impl Signer for Trace {
    fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>) {
        if self.is_wanted {
            headers.format(TRACEPARENT, TraceParent::new(&message.id, random()));
        }
    }
}

/// Another number each time.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// The header's value: one trace for a message, in which each attempt is a span of its own. A receiver is told to
/// record it (flag 01): with 00 those that obey their callers would record no delivery at all.
struct TraceParent {
    trace: [u64; 2],
    span: u64,
}

impl TraceParent {
    fn new(id: &MessageId, random: u64) -> Self {
        // Unique, as the message's name is. Samplers take the right half for random.
        let trace = [id.instance, mixed(id.instance ^ id.first)];
        // Zero is no span.
        Self { trace, span: random.max(1) }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace: [left, right], span } = self;
        write!(f, "00-{left:016x}{right:016x}-{span:016x}-01")
    }
}

/// Each number to another one, with no pattern left: a step of SplitMix64 (Steele, Lea and Flood, 2014).
const fn mixed(number: u64) -> u64 {
    let n = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(instance: u64, first: u64, random: u64) -> String {
        let id = MessageId { node_id: 7, instance, first, last: first, events: 1 };
        TraceParent::new(&id, random).to_string()
    }

    #[test]
    fn it_has_the_form_of_version_00() {
        let expected = "00-9f86d081884c7d65e220a8397b1dcdaf-00000000000000ff-01";
        assert_eq!(text(0x9f86_d081_884c_7d65, 0x9f86_d081_884c_7d65, 0xff), expected);
        assert!(text(1, 1, 0).ends_with("-0000000000000001-01"));
    }

    #[test]
    fn a_message_is_one_trace_and_each_attempt_a_span() {
        let (a, b) = (text(1, 42, random()), text(1, 42, random()));
        assert_eq!(a[..36], b[..36]);
        assert_ne!(a[36..], b[36..]);
        assert_ne!(text(1, 43, 5)[19..36], a[19..36]);
        assert_ne!(text(2, 42, 5)[..19], a[..19]);
    }
}
