//! A number of a line that is read when it is asked for: [`Number`].

use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::scan::digits_length;

/// A whole number, read already or still text. A line has many numbers, and most readers need few of them.
#[derive(Clone, Copy)]
pub(crate) enum Number<'a> {
    Read(u64),
    Text(Digits<'a>),
}

/// The text of a number: 1 to 19 decimal digits without a leading zero.
#[derive(Clone, Copy)]
pub(crate) struct Digits<'a>(&'a [u8]);

impl<'a> Digits<'a> {
    /// The most digits of a number that surely fits into 64 bits.
    const MOST: usize = 19;

    /// The digits at the beginning of `bytes`; `None` if they are not a number in this form.
    #[inline]
    pub(crate) fn at_start(bytes: &'a [u8]) -> Option<Self> {
        let digits = &bytes[..digits_length(bytes)];
        let is_usual = (1..=Self::MOST).contains(&digits.len());
        (is_usual && (digits.len() == 1 || digits[0] != b'0')).then_some(Self(digits))
    }

    /// All of `bytes`, which were found to be digits in this form.
    #[inline]
    pub(crate) fn found(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn len(self) -> usize {
        self.0.len()
    }

    fn value(self) -> u64 {
        let digits = self.0.iter().map(|digit| u64::from(digit - b'0'));
        digits.fold(0, |number, digit| number * 10 + digit)
    }
}

impl Number<'_> {
    pub(crate) const ZERO: Self = Self::Read(0);

    pub(crate) fn value(self) -> u64 {
        match self {
            Self::Read(number) => number,
            Self::Text(digits) => digits.value(),
        }
    }
}

impl fmt::Debug for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

impl<'de> Deserialize<'de> for Number<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_the_value_that_a_general_reader_reads() {
        for text in ["0", "7", "10", "1767225600123", "9999999999999999999"] {
            let line = format!("{text},9");
            let digits = Digits::at_start(line.as_bytes()).expect("it is a number");
            assert_eq!(digits.len(), text.len());
            assert_eq!(Some(digits.value()), text.parse().ok());
        }
    }

    #[test]
    fn other_forms_of_a_number_are_left_to_a_general_reader() {
        for text in [
            "",
            ",",
            "-1",
            "+1",
            " 1",
            "01",
            "00",
            "10000000000000000000",
        ] {
            assert!(Digits::at_start(text.as_bytes()).is_none(), "{text}");
        }
    }
}
