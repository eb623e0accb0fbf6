//! JSON of any shape as a [`Value`], with the numbers that it states.

use std::sync::LazyLock;

use serde::de::Error as _;
use serde_json::Value;

/// Reads `json`.
///
/// # Errors
///
/// What is wrong with it; or that a whole number has more than 64 bits, which `serde_json` would round
/// to a float.
pub(crate) fn read(json: &str) -> serde_json::Result<Value> {
    let value = serde_json::from_str(json)?;
    if !*HOLDS_ALL_NUMBERS && let Some(number) = rounded(json) {
        let text = format!("the whole number {number} has more than 64 bits and would be rounded");
        return Err(serde_json::Error::custom(text));
    }
    Ok(value)
}

/// Whether some crate of the program turned on `arbitrary_precision` of `serde_json`.
static HOLDS_ALL_NUMBERS: LazyLock<bool> = LazyLock::new(|| {
    let number = "123456789012345678901234567890";
    serde_json::from_str::<Value>(number).is_ok_and(|read| format!("{read}") == number)
});

/// How many digits a number of 64 bits may have at least: those with fewer are not looked at.
const DIGITS: usize = 19;

/// The first whole number in `json`, which is valid, that has more than 64 bits.
fn rounded(json: &str) -> Option<&str> {
    let bytes = json.as_bytes();
    let mut place = 0;
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
                    return Some(number);
                }
                place += length;
            }
            _ => place += 1,
        }
    }
    None
}

/// How long the string is that `bytes` begins with, its quotes included.
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
            assert_eq!(rounded(json), None, "{json}");
        }
        for number in ["18446744073709551616", "-9223372036854775809"] {
            for json in [
                number.to_owned(),
                format!(r#"{{"a":"b\"","c":[0,{number}]}}"#),
            ] {
                assert_eq!(rounded(&json), Some(number), "{json}");
            }
        }
    }
}
