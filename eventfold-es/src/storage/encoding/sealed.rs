//! JSON objects that end with their own checksum: `{…,"sum":"0123456789abcdef"}`.
//!
//! The checksum is XXH3-64 of all bytes before `,"sum"`. Its seed states what the object belongs
//! to; it is 0 if the object belongs to nothing.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// `,"sum":"` + 16 hex digits + `"}`.
pub(crate) const SUM_LEN: usize = 8 + 16 + 2;

/// Ends the object that begins at `start` with its checksum and a bracket. Returns the checksum.
pub(crate) fn seal(out: &mut Vec<u8>, start: usize, seed: u64) -> u64 {
    let sum = xxh3_64_with_seed(&out[start..], seed);
    write_sum(out, sum);
    sum
}

/// Whether the checksum of `object` is right; `None` if it has none.
pub(crate) fn is_right(object: &[u8], seed: u64) -> Option<bool> {
    split_sum(object).map(|(body, sum)| xxh3_64_with_seed(body, seed) == sum)
}

/// The checksum of `line`, if it is right.
pub(crate) fn verified(line: &[u8], seed: u64) -> Option<u64> {
    let (body, end) = line.split_last_chunk()?;
    let sum = xxh3_64_with_seed(body, seed);
    (*end == sum_and_end(sum)).then_some(sum)
}

/// Splits a line into the bytes that its checksum covers and the checksum. `None` if it has none.
pub(crate) fn split_sum(line: &[u8]) -> Option<(&[u8], u64)> {
    let (body, tail) = line.split_at_checked(line.len().checked_sub(SUM_LEN)?)?;
    let hex = tail.strip_prefix(b",\"sum\":\"")?.strip_suffix(b"\"}")?;
    let mut sum = 0;
    for byte in hex {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        sum = sum << 4 | u64::from(digit);
    }
    Some((body, sum))
}

/// Appends a checksum and the end of the object.
pub(crate) fn write_sum(out: &mut Vec<u8>, sum: u64) {
    out.extend_from_slice(&sum_and_end(sum));
}

/// `,"sum":"`, the checksum, `"}`.
pub(crate) fn sum_and_end(sum: u64) -> [u8; SUM_LEN] {
    let mut end = *b",\"sum\":\"................\"}";
    end[8..24].copy_from_slice(&hex(sum));
    end
}

/// A number as 16 hexadecimal digits.
fn hex(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    let (halves, _) = digits.as_chunks_mut();
    halves[0] = hex_half(number >> 32);
    halves[1] = hex_half(number & 0xffff_ffff);
    digits
}

/// The 8 hexadecimal digits of `half`, computed all at once: each line read takes two calls.
fn hex_half(half: u64) -> [u8; 8] {
    // Moves each digit to its own byte.
    let pairs = (half << 16 | half) & 0x0000_ffff_0000_ffff;
    let bytes = (pairs << 8 | pairs) & 0x00ff_00ff_00ff_00ff;
    let digits = (bytes << 4 | bytes) & 0x0f0f_0f0f_0f0f_0f0f;
    // 1 where the digit is a letter: only then the digit plus 6 reaches 16.
    let letters = ((digits + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    let text = digits + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - 10 - b'0');
    text.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_written_as_sixteen_digits_and_read_back() {
        let every_digit = 0x0123_4567_89ab_cdef;
        for sum in [0, u64::MAX, every_digit, every_digit.rotate_left(4), 0x9a] {
            let mut line = b"{".to_vec();
            write_sum(&mut line, sum);
            assert_eq!(line, format!("{{,\"sum\":\"{sum:016x}\"}}").as_bytes());
            assert_eq!(split_sum(&line), Some((&b"{"[..], sum)));
        }
    }

    #[test]
    fn an_objects_checksum_is_right_only_with_its_own_seed() {
        let mut object = b"before{\"a\":1".to_vec();
        let sum = seal(&mut object, 6, 3);
        assert_eq!(verified(&object[6..], 3), Some(sum));
        assert_eq!(is_right(&object[6..], 3), Some(true));
        assert_eq!(is_right(&object[6..], 0), Some(false));
        assert_eq!(is_right(b"{\"a\":1}", 3), None);
    }
}
