//! How long the server's records may be.

use core::ops::RangeInclusive;

use embedded_tls::MaxFragmentLength;

/// What a record takes beside its content: its type and its tag, and what it may be padded with (RFC 8446, section
/// 5.2).
const OVERHEAD: RangeInclusive<usize> = 17..=256;

/// The content of a record that a receive buffer of this size is made for: the length to ask for (RFC 6066, section
/// 4).
///
/// A buffer that is much larger than a length asks for none. A server that keeps to a length cuts a longer
/// certificate chain in pieces, which embedded-tls does not put together, and that chain may fit.
pub(super) fn length_for(buffer: usize) -> Option<MaxFragmentLength> {
    [
        (512, MaxFragmentLength::Bits9),
        (1_024, MaxFragmentLength::Bits10),
        (2_048, MaxFragmentLength::Bits11),
        (4_096, MaxFragmentLength::Bits12),
    ]
    .into_iter()
    .find(|(length, _)| buffer.checked_sub(*length).is_some_and(|left| OVERHEAD.contains(&left)))
    .map(|(_, asked)| asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_asked_for_that_the_buffer_is_made_for() {
        for (buffer, expected) in [
            (512, None),
            (528, None),
            (529, Some(9)),
            (768, Some(9)),
            (769, None),
            (1_280, Some(10)),
            (2_304, Some(11)),
            (4_096, None),
            (4_112, None),
            (4_113, Some(12)),
            (4_352, Some(12)),
            (4_353, None),
            (16_640, None),
        ] {
            let bits = length_for(buffer).map(|length| match length {
                MaxFragmentLength::Bits9 => 9,
                MaxFragmentLength::Bits10 => 10,
                MaxFragmentLength::Bits11 => 11,
                MaxFragmentLength::Bits12 => 12,
            });
            assert_eq!(bits, expected, "{buffer}");
        }
    }
}
