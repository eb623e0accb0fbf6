//! Finds where short texts and numbers of a JSON text end, eight bytes at a time. Most of them have fewer than 20
//! bytes, where calling a general search costs more than the search.

/// How many bytes are before the first quote or backslash; `None` if there is none.
#[inline]
pub(crate) fn text_length(bytes: &[u8]) -> Option<usize> {
    find(bytes, |word| equal(word, b'"') | equal(word, b'\\'))
}

/// How many decimal digits are at the beginning.
#[inline]
pub(crate) fn digits_length(bytes: &[u8]) -> usize {
    let others = |word: u64| {
        let values = word ^ each(b'0');
        // Sets the highest bit of each byte over 9. No byte overflows.
        (((values & !HIGHEST) + each(0x80 - 10)) | values) & HIGHEST
    };
    find(bytes, others).unwrap_or(bytes.len())
}

/// The highest bit of each byte.
const HIGHEST: u64 = each(0x80);

/// A word of which each byte is `byte`.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The highest bit of each byte of `word` that is `byte`. Bits above the lowest one may be set by mistake.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    let differences = word ^ each(byte);
    differences.wrapping_sub(each(1)) & !differences & HIGHEST
}

/// Where the first byte is whose highest bit `marks` sets. Bits above the first one do not count.
#[inline]
fn find(bytes: &[u8], marks: impl Fn(u64) -> u64) -> Option<usize> {
    let place = |marks: u64| (marks.trailing_zeros() / 8) as usize;
    let (words, rest) = bytes.as_chunks();
    for (i, word) in words.iter().enumerate() {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(8 * i + place(marks));
        }
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let last = place(marks(u64::from_le_bytes(last)));
    (last < rest.len()).then_some(8 * words.len() + last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte at each place among others, those next to what is searched for among them.
    fn assert_alike<T: PartialEq + std::fmt::Debug>(
        found: impl Fn(&[u8]) -> T,
        expected: impl Fn(&[u8]) -> T,
    ) {
        for length in 0..20 {
            for around in [b'0', b'9', b'!', b'#', b'[', b']', 0, 0xff] {
                for place in 0..length {
                    for byte in 0..=255 {
                        let mut bytes = vec![around; length];
                        bytes[place] = byte;
                        assert_eq!(found(&bytes), expected(&bytes), "{bytes:?}");
                        if let Some(next) = bytes.get_mut(place + 1) {
                            *next = byte ^ 1;
                        }
                        assert_eq!(found(&bytes), expected(&bytes), "{bytes:?}");
                    }
                }
            }
            assert_eq!(found(&vec![b'7'; length]), expected(&vec![b'7'; length]));
        }
    }

    #[test]
    fn a_text_ends_at_the_first_quote_or_backslash() {
        assert_alike(text_length, |bytes| {
            bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'))
        });
    }

    #[test]
    fn a_number_ends_at_the_first_byte_that_is_no_digit() {
        assert_alike(digits_length, |bytes| {
            let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
            digits.count()
        });
    }
}
