//! Numbers as text and back. Decimal digits are written eight at a time.

/// Eight digits are below this.
pub(crate) const EIGHT: u32 = 100_000_000;

/// The eight digits of `number`, leading zeros and all. Of a longer one the result is of no use.
///
/// The number is halved to lanes of four, two and one digit in one register; the products are
/// divisions by 100 and by 10, exact for lanes that small.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) const fn eight(number: u32) -> [u8; 8] {
    let fours = (number / 10_000) as u64 + (((number % 10_000) as u64) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds + ((fours - 100 * hundreds) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens + ((twos - 10 * tens) << 8);
    (ones + u64::from_le_bytes([b'0'; 8])).to_le_bytes()
}

/// How many zeros the digits begin with; the last one is no leading one.
pub(crate) const fn leading_zeros(digits: [u8; 8]) -> usize {
    let ones = u64::from_le_bytes(digits) ^ u64::from_le_bytes([b'0'; 8]);
    (ones | 1 << 56).trailing_zeros() as usize / 8
}

/// A number without a sign. `from_str_radix` would take one.
pub(crate) fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, &byte| {
        let digit = char::from(byte).to_digit(radix)?;
        number.checked_mul(radix)?.checked_add(digit)
    })
}

/// The place of the first such byte. As many are looked at in one step as a word holds.
pub(crate) fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    const WORD: usize = size_of::<usize>();
    const ONES: usize = usize::MAX / 255;
    let (words, rest) = bytes.as_chunks::<WORD>();
    for (n, word) in words.iter().enumerate() {
        // A byte is zero where it is the one that is looked for; the lowest such byte has its highest bit set then.
        let differs = usize::from_le_bytes(*word) ^ (ONES * usize::from(byte));
        let zeros = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if zeros != 0 {
            return Some(n * WORD + zeros.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|other| *other == byte)?;
    Some(words.len() * WORD + at)
}

/// Whether two texts differ in the case of letters at most. Compiled once, as many are compared.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) fn is_same(text: &[u8], other: &[u8]) -> bool {
    text.eq_ignore_ascii_case(other)
}

/// A byte as two hexadecimal digits in lower case.
pub(crate) const fn hex(byte: u8) -> [u8; 2] {
    const fn digit(nibble: u8) -> u8 {
        match nibble {
            0..=9 => b'0' + nibble,
            _ => b'a' + nibble - 10,
        }
    }
    [digit(byte >> 4), digit(byte & 15)]
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn the_first_of_a_byte_is_found_wherever_it_stands() {
        for length in 0..40 {
            for (filler, byte) in
                [(0, 1), (1, 0), (b'a', b'\n'), (0xff, 0x7f), (0x80, 0), (b'\x0b', b'\n')]
            {
                let mut bytes = std::vec![filler; length];
                assert_eq!(find(&bytes, byte), None);
                for at in (0..length).rev() {
                    bytes[at] = byte;
                    assert_eq!(find(&bytes, byte), Some(at), "{length} {filler} {byte}");
                }
            }
        }
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        let lanes = (0..10_000).flat_map(|lane| [lane, lane * 10_000, lane * 10_001]);
        for number in lanes.chain([99_999_999]) {
            let expected = format!("{number:08}");
            assert_eq!(eight(number), expected.as_bytes());
        }
        // No panic, where the result is of no use.
        eight(EIGHT);
        eight(u32::MAX);
    }
}
