//! A place in a distributed trace: [`TraceParent`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place in a distributed trace, in the form of W3C Trace Context: the header `traceparent` of a
/// request.
///
/// A [context](crate::CommandContext::with_traceparent) with one stores it with the command's events, and
/// process managers hand it on. [Watching a store](crate::guide::watching_a_store#traces) tells more.
///
/// ```
/// use eventfold_es::{CommandContext, TraceParent};
///
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent: TraceParent = header.parse()?;
/// assert!(parent.is_sampled());
/// let context = CommandContext::default().with_traceparent(parent);
///
/// // A header that is not valid is ignored, as the specification says.
/// let parent = "00-0af7651916cd43dd-b7ad6b7169203331-01".parse::<TraceParent>().ok();
/// assert_eq!(parent, None);
/// # Ok::<(), eventfold_es::InvalidTraceParent>(())
/// ```
#[doc(alias("w3c", "trace context", "distributed tracing", "opentelemetry"))]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
}

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;

impl TraceParent {
    /// The span `parent_id` in the trace `trace_id`. `flags` are those of the specification: 1 says that
    /// the trace is recorded.
    ///
    /// # Errors
    ///
    /// If an id is zero, which stands for no trace and no span.
    ///
    /// ```
    /// # use eventfold_es::TraceParent;
    /// let parent = TraceParent::new([1; 16], [2; 8], 1)?;
    /// let text = "00-01010101010101010101010101010101-0202020202020202-01";
    /// assert_eq!(parent.to_string(), text);
    /// assert!(TraceParent::new([0; 16], [2; 8], 1).is_err());
    /// # Ok::<(), eventfold_es::InvalidTraceParent>(())
    /// ```
    pub fn new(
        trace_id: [u8; 16],
        parent_id: [u8; 8],
        flags: u8,
    ) -> Result<Self, InvalidTraceParent> {
        if trace_id == [0; 16] {
            return Err(InvalidTraceParent::new("its trace id is zero"));
        }
        if parent_id == [0; 8] {
            return Err(InvalidTraceParent::new("its span id is zero"));
        }
        Ok(Self {
            trace_id,
            parent_id,
            flags,
        })
    }

    /// The id of the trace.
    ///
    /// ```
    /// # use eventfold_es::TraceParent;
    /// assert_eq!(TraceParent::new([1; 16], [2; 8], 1)?.trace_id(), [1; 16]);
    /// # Ok::<(), eventfold_es::InvalidTraceParent>(())
    /// ```
    #[must_use]
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The id of the span in it.
    ///
    /// ```
    /// # use eventfold_es::TraceParent;
    /// assert_eq!(TraceParent::new([1; 16], [2; 8], 1)?.parent_id(), [2; 8]);
    /// # Ok::<(), eventfold_es::InvalidTraceParent>(())
    /// ```
    #[must_use]
    pub fn parent_id(&self) -> [u8; 8] {
        self.parent_id
    }

    /// The flags of the specification.
    ///
    /// ```
    /// # use eventfold_es::TraceParent;
    /// assert_eq!(TraceParent::new([1; 16], [2; 8], 1)?.flags(), 1);
    /// # Ok::<(), eventfold_es::InvalidTraceParent>(())
    /// ```
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the trace is recorded, as far as the caller knows.
    ///
    /// See the example of [`TraceParent`].
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// A text is not a `traceparent`.
///
/// ```
/// # use eventfold_es::TraceParent;
/// let error = "00-abc".parse::<TraceParent>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "not a traceparent of W3C Trace Context, such as \
///      00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01: it is shorter than 55 characters"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a traceparent of W3C Trace Context, such as \
     00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01: {reason}"
)]
pub struct InvalidTraceParent {
    reason: &'static str,
}

impl InvalidTraceParent {
    fn new(reason: &'static str) -> Self {
        Self { reason }
    }
}

/// Reads a header. Of a version after 00, what version 00 has is read.
impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let text = text.as_bytes();
        let refused = |reason| Err(InvalidTraceParent::new(reason));
        if text.len() < LENGTH {
            return refused("it is shorter than 55 characters");
        }
        if [2, 35, 52].iter().any(|at| text[*at] != b'-') {
            return refused("its four parts are not separated by `-`");
        }
        let [version] = hex(&text[..2])?;
        match version {
            0xff => return refused("its version is ff"),
            0 if text.len() > LENGTH => return refused("it is longer than 55 characters"),
            _ if text.len() > LENGTH && text[LENGTH] != b'-' => {
                return refused("its flags are not followed by `-`");
            }
            _ => {}
        }
        let [flags] = hex(&text[53..LENGTH])?;
        Self::new(hex(&text[3..35])?, hex(&text[36..52])?, flags)
    }
}

/// The bytes that lower-case hexadecimal digits stand for.
fn hex<const N: usize>(digits: &[u8]) -> Result<[u8; N], InvalidTraceParent> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(InvalidTraceParent::new(
            "it has other characters than `-`, digits and `a` to `f`",
        )),
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

/// The header, of version 00.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace_id = u128::from_be_bytes(self.trace_id);
        let parent_id = u64::from_be_bytes(self.parent_id);
        write!(f, "00-{trace_id:032x}-{parent_id:016x}-{:02x}", self.flags)
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceParent({self})")
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceParent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_written_as_it_was_read() {
        for flags in ["00", "01", "ff"] {
            let text = format!("{}{flags}", &GOOD[..53]);
            let parent: TraceParent = text.parse().unwrap();
            assert_eq!(parent.to_string(), text);
            assert_eq!(parent.is_sampled(), flags != "00");
            let json = serde_json::to_string(&parent).unwrap();
            assert_eq!(serde_json::from_str::<TraceParent>(&json).unwrap(), parent);
        }
    }

    #[test]
    fn of_a_later_version_the_parts_of_version_00_are_read() {
        for text in [
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-else",
        ] {
            assert_eq!(text.parse::<TraceParent>().unwrap().to_string(), GOOD);
        }
    }

    #[test]
    fn what_the_grammar_does_not_allow_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "shorter"),
            (&GOOD[1..], "shorter"),
            (&format!("{GOOD}-00"), "longer"),
            (&format!("{GOOD} "), "longer"),
            (&format!("cc{}x", &GOOD[2..]), "followed by"),
            (&format!("ff{}", &GOOD[2..]), "version is ff"),
            (&GOOD.replace('-', "_"), "separated"),
            (&GOOD.to_uppercase(), "other characters"),
            (&GOOD.replace('a', "g"), "other characters"),
            (&GOOD.replace('a', "+"), "other characters"),
            (
                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                "trace id is zero",
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                "span id is zero",
            ),
            (
                "00-0af7651916cd43dd8448eb211c8031ß-b7ad6b7169203331-01",
                "other characters",
            ),
        ] {
            let error = text.parse::<TraceParent>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
