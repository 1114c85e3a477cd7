//! `traceparent`: the trace that an attempt is part of, as W3C Trace Context (version 00) has it.

use pilot_webhook_core::{Headers, MESSAGE_ID_HEADER, Signer, ToSign, TraceContext};

use crate::random::random;

/// The header's name.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// Adds the header to each attempt, if it is wanted.
pub(crate) struct Trace {
    pub(crate) is_wanted: bool,
}

impl Signer for Trace {
    fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>) {
        if self.is_wanted {
            // A gateway relays a message under the id that it has in the stream, and so stays in its trace.
            let traceparent = match (message.trace(), headers.get(MESSAGE_ID_HEADER)) {
                (Some(trace), _) => TraceParent::within(trace, random()),
                (None, Some(id)) => TraceParent::new(id, random()),
                (None, None) => TraceParent::new(&message.id.to_string(), random()),
            };
            headers.write(TRACEPARENT, |out| out.push(&traceparent.text()));
        }
    }
}

/// The header's value: one trace for a message, in which each attempt is a span of its own. It is the trace that the event
/// came with, with its flag, or one that is made from the message's id. Of that a receiver is told to
/// record it (flag 01): with 00 those that obey their callers would record no delivery at all.
struct TraceParent {
    trace: u128,
    span: u64,
    is_sampled: bool,
}

impl TraceParent {
    /// Zero is no trace and no span.
    fn new(message_id: &str, random: u64) -> Self {
        let hash = fnv_1a(message_id.as_bytes());
        let (left, right) = ((hash >> 64) as u64, (hash & 0xffff_ffff_ffff_ffff) as u64);
        // Samplers take the right half for random.
        let trace = u128::from(left) << 64 | u128::from(mixed(right ^ left).max(1));
        Self { trace, span: random.max(1), is_sampled: true }
    }

    fn within(trace: TraceContext, random: u64) -> Self {
        let id = u128::from_be_bytes(trace.id());
        Self { trace: id, span: random.max(1), is_sampled: trace.is_sampled() }
    }

    /// The value, digit by digit: the formatting of the standard library takes ten times as long.
    #[allow(clippy::cast_possible_truncation, reason = "halves of a number")]
    fn text(&self) -> [u8; 55] {
        let Self { trace, span, is_sampled } = self;
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        text[3..19].copy_from_slice(&hex((trace >> 64) as u64));
        text[19..35].copy_from_slice(&hex(*trace as u64));
        text[36..52].copy_from_slice(&hex(*span));
        text[54] += u8::from(*is_sampled);
        text
    }
}

/// A number as 16 hexadecimal digits in lower case.
fn hex(number: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|place| DIGITS[(number >> (60 - 4 * place) & 15) as usize])
}

/// FNV-1a of 128 bits: the same text has the same trace wherever it is sent from.
fn fnv_1a(text: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    text.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
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

    fn text(traceparent: &TraceParent) -> String {
        traceparent.text().map(char::from).iter().collect()
    }

    #[test]
    fn it_has_the_form_of_version_00() {
        let first = text(&TraceParent::new("7-9f86d081884c7d65-42", 0xff));
        let parts: Vec<_> = first.split('-').collect();
        assert_eq!(
            (parts[0], parts[1].len(), parts[2], parts[3]),
            ("00", 32, "00000000000000ff", "01")
        );
        assert!(text(&TraceParent::new("", 0)).ends_with("-0000000000000001-01"));
    }

    #[test]
    fn a_trace_that_is_taken_over_keeps_its_id_and_its_flag() {
        for flags in ["00", "01"] {
            let came = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            let trace = TraceContext::parse(came.as_bytes()).unwrap();
            let sent = text(&TraceParent::within(trace, 0x0102));
            assert_eq!(sent, came.replace("b7ad6b7169203331", "0000000000000102"));
        }
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        let numbers = (0..64).map(|n| mixed(n) >> n).chain([0, u64::MAX]);
        for number in numbers {
            assert_eq!(
                hex(number).map(char::from).iter().collect::<String>(),
                format!("{number:016x}")
            );
        }
    }

    #[test]
    fn the_hash_and_the_numbers_are_those_that_were_published() {
        assert_eq!(fnv_1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(mixed(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn a_message_is_one_trace_and_each_attempt_a_span() {
        let text = |id| text(&TraceParent::new(id, random()));
        let (a, b, other) = (text("7-1-42"), text("7-1-42"), text("7-1-43"));
        assert_eq!(a[..36], b[..36]);
        assert_ne!(a[36..], b[36..]);
        // In both halves.
        assert!(a[3..19] != other[3..19] && a[19..35] != other[19..35]);
    }
}
