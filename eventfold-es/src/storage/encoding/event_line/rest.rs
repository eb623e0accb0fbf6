//! Reads a line in exactly the form in which this crate writes it. This saves most of the time of a
//! general JSON reader. Any line in another form is left to the general reader.

use std::borrow::Cow;

use crate::event::{Digits, Number};
use crate::scan::text_length;
use crate::storage::encoding::event_line::{HEAD, LEN_DIGITS, stated_length};

/// A line, and its bytes that are still to be read.
#[derive(Debug)]
pub(crate) struct Rest<'a> {
    line: &'a str,
    bytes: &'a [u8],
}

impl<'a> Rest<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        Self {
            line,
            bytes: line.as_bytes(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Where the rest begins in the line.
    pub(crate) fn start(&self) -> usize {
        self.line.len() - self.bytes.len()
    }

    /// The part of the line from `start` to the rest.
    pub(crate) fn since(&self, start: usize) -> Option<&'a str> {
        self.line.get(start..self.start())
    }

    /// Passes an event up to its position, by its stated length, which is returned.
    #[inline]
    pub(crate) fn pass_stated_length(&mut self) -> Option<usize> {
        let length = stated_length(self.bytes)?;
        self.bytes = self.bytes.get(length..)?;
        Some(length)
    }

    /// The beginning of a line with its length.
    #[inline]
    pub(crate) fn length(&mut self) -> Option<usize> {
        let length = stated_length(self.bytes)?;
        self.skip_length()?;
        Some(length)
    }

    /// Passes the beginning of a line with its length, whatever it is.
    #[inline]
    pub(crate) fn skip_length(&mut self) -> Option<()> {
        self.bytes = self.bytes.get(HEAD.len() + LEN_DIGITS + 1..)?;
        Some(())
    }

    /// The next `length` bytes, at least one.
    #[inline]
    pub(crate) fn take(&mut self, length: u64) -> Option<&'a str> {
        let start = self.start();
        let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
        self.bytes = self.bytes.get(length..)?;
        self.since(start)
    }

    /// Passes bytes in the form of a checksum and the end of the object.
    pub(crate) fn sum(&mut self) -> Option<()> {
        self.pass(b",\"sum\":\"")?;
        let (digits, rest) = self.bytes.split_first_chunk::<16>()?;
        // No early exit, so that the processor compares all bytes at once.
        let is_text = |byte: &u8| !matches!(byte, b'"' | b'\\');
        let are_text = digits.iter().fold(true, |all, byte| all & is_text(byte));
        self.bytes = rest;
        are_text.then_some(())?;
        self.pass(b"\"}")
    }

    /// Passes exactly the `expected` bytes. Their number is part of the type, so the comparison
    /// takes few instructions.
    #[inline]
    pub(crate) fn pass<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        let (start, rest) = self.bytes.split_first_chunk()?;
        if start != expected {
            return None;
        }
        self.bytes = rest;
        Some(())
    }

    /// The texts of an array, at least one. Its opening bracket was passed, and nothing is behind it.
    pub(crate) fn texts(mut self) -> Option<Vec<Cow<'a, str>>> {
        let mut texts = Vec::new();
        loop {
            self.pass(b"\"")?;
            texts.push(Cow::Borrowed(self.text()?));
            if self.pass(b"]").is_some() {
                return self.is_empty().then_some(texts);
            }
            self.pass(b",")?;
        }
    }

    /// The rest of a string whose quote was passed. The string must have no escapes.
    #[inline]
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let start = self.start();
        let length = text_length(self.bytes)?;
        self.bytes = &self.bytes[length..];
        let text = self.since(start)?;
        self.pass(b"\"")?;
        Some(text)
    }

    /// Passes a number that is read when it is asked for.
    #[inline]
    pub(crate) fn later(&mut self) -> Option<Number<'a>> {
        let digits = Digits::at_start(self.bytes)?;
        self.bytes = &self.bytes[digits.len()..];
        Some(Number::Text(digits))
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Option<u64> {
        let bytes = self.bytes;
        let (mut number, mut length) = (0_u64, 0);
        for byte in bytes {
            let digit = u64::from(*byte).wrapping_sub(u64::from(b'0'));
            if digit > 9 {
                break;
            }
            number = number.wrapping_mul(10).wrapping_add(digit);
            length += 1;
        }
        self.bytes = &bytes[length..];
        // A number with fewer than 20 digits cannot overflow.
        let is_usual = (1..20).contains(&length) && (length == 1 || bytes[0] != b'0');
        is_usual.then_some(number)
    }
}
