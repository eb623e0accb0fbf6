//! JSON of any shape as a [`Value`], with exact numbers.

use std::ops::Range;
use std::sync::LazyLock;

use serde::de::Error as _;
use serde_json::Value;

/// Reads `json`.
///
/// # Errors
///
/// The error from parsing, or that a whole number has more than 64 bits: `serde_json` would round
/// it to a float. Invariant S7.
pub(crate) fn read(json: &str) -> serde_json::Result<Value> {
    let value = serde_json::from_str(json)?;
    if !*HOLDS_ALL_NUMBERS && let Some(number) = rounded(json, 0) {
        let number = &json[number];
        let text = format!("the whole number {number} has more than 64 bits and would be rounded");
        return Err(serde_json::Error::custom(text));
    }
    Ok(value)
}

/// Reads `json` for display: a whole number that would be rounded becomes a text.
///
/// # Errors
///
/// The error from parsing.
pub(crate) fn shown(json: &str) -> serde_json::Result<Value> {
    let mut shown = String::new();
    let mut place = 0;
    while !*HOLDS_ALL_NUMBERS && let Some(Range { start, end }) = rounded(json, place) {
        shown.extend([&json[place..start], "\"", &json[start..end], "\""]);
        place = end;
    }
    shown.push_str(&json[place..]);
    serde_json::from_str(&shown)
}

/// Whether some crate of the program enabled `arbitrary_precision` of `serde_json`.
static HOLDS_ALL_NUMBERS: LazyLock<bool> = LazyLock::new(|| {
    let number = "123456789012345678901234567890";
    serde_json::from_str::<Value>(number).is_ok_and(|read| format!("{read}") == number)
});

/// A number with fewer digits always fits 64 bits.
const DIGITS: usize = 19;

/// The first whole number in `json`, from `place` on, that has more than 64 bits.
fn rounded(json: &str, mut place: usize) -> Option<Range<usize>> {
    let bytes = json.as_bytes();
    while place < bytes.len() {
        match bytes[place] {
            b'"' => place += string_length(&bytes[place..]),
            b'-' | b'0'..=b'9' => {
                let is_part =
                    |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = bytes[place..]
                    .iter()
                    .take_while(|byte| is_part(byte))
                    .count();
                let number = &json[place..place + length];
                let is_whole = !number.contains(['.', 'e', 'E']);
                let fits = number.parse::<u64>().is_ok() || number.parse::<i64>().is_ok();
                if length >= DIGITS && is_whole && !fits {
                    return Some(place..place + length);
                }
                place += length;
            }
            _ => place += 1,
        }
    }
    None
}

/// The length of the string at the start of `bytes`, including its quotes.
fn string_length(bytes: &[u8]) -> usize {
    let mut place = 1;
    while place < bytes.len() {
        match bytes[place] {
            b'\\' => place += 2,
            b'"' => return place + 1,
            _ => place += 1,
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_beyond_64_bits_are_found() {
        for json in [
            "18446744073709551615",
            "-9223372036854775808",
            "1e40",
            "123456789012345678901234567890.5",
            r#""123456789012345678901234567890""#,
            r#"{"\"123456789012345678901234567890":[1,"\\"]}"#,
        ] {
            assert_eq!(rounded(json, 0), None, "{json}");
        }
        for number in ["18446744073709551616", "-9223372036854775809"] {
            for json in [
                number.to_owned(),
                format!(r#"{{"a":"b\"","c":[0,{number}]}}"#),
            ] {
                let found = rounded(&json, 0).map(|found| &json[found]);
                assert_eq!(found, Some(number), "{json}");
            }
        }
    }

    #[test]
    fn a_whole_number_beyond_64_bits_is_shown_with_all_its_digits() {
        let digits = "18446744073709551617";
        let json = format!(r#"[{digits},{{"a":-{digits}}},5,"\"{digits}"]"#);
        let shown = shown(&json).unwrap();
        assert!(shown[0].to_string().contains(digits), "{shown}");
        assert!(shown[1]["a"].to_string().contains(digits), "{shown}");
        assert_eq!(shown[2], 5);
        assert_eq!(shown[3], format!("\"{digits}"));
    }
}
