//! Entity tags (RFC 9110, section 8.8.3): versions as tags, and lists of tags.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::problem::{ProblemDetails, ProblemType};
use crate::ids::Version;

/// The tag of a version, for the header `ETag`: the number in quotes. `None` for version 0, which is that of
/// an aggregate that does not exist.
///
/// ```
/// use eventfold_es::{Version, http};
///
/// assert_eq!(http::etag(Version::from(7)).unwrap(), "\"7\"");
/// assert!(http::etag(Version::default()).is_none());
/// ```
#[must_use]
pub fn etag(version: Version) -> Option<HeaderValue> {
    let tag = || HeaderValue::from_str(&format!("\"{version}\""));
    (version != 0).then(tag)?.ok()
}

/// What `If-Match` and `If-None-Match` have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`
    Any,
    Listed(Vec<EntityTag>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntityTag {
    is_weak: bool,
    /// The version whose tag it is. A tag that this service never sends is that of none.
    version: Option<Version>,
}

impl EntityTag {
    /// The version whose tag this is, if it is a strong one.
    pub(crate) fn strong(&self) -> Option<Version> {
        self.version.filter(|_| !self.is_weak)
    }

    /// The version whose tag this is, be it strong or weak.
    pub(crate) fn weak(&self) -> Option<Version> {
        self.version
    }
}

/// Reads all headers of this name as one list. `None` if there is none.
pub(crate) fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, ProblemDetails> {
    let malformed = |why: &str| {
        ProblemDetails::of(ProblemType::Malformed).with_detail(format!("`{name}`: {why}"))
    };
    let mut is_any = false;
    let mut tags = Vec::new();
    let mut values = headers.get_all(name).iter().peekable();
    if values.peek().is_none() {
        return Ok(None);
    }
    for value in values {
        let mut rest = value.as_bytes();
        loop {
            rest = trim(rest);
            match rest {
                [] => break,
                [b',', after @ ..] => {
                    rest = after;
                    continue;
                }
                [b'*', after @ ..] => {
                    is_any = true;
                    rest = after;
                }
                _ => {
                    let (tag, after) = entity_tag(rest).ok_or_else(|| {
                        malformed("an entity tag is text in quotes, for example `\"7\"`")
                    })?;
                    tags.push(tag);
                    rest = after;
                }
            }
            if !matches!(trim(rest), [] | [b',', ..]) {
                return Err(malformed("commas separate the entity tags"));
            }
        }
    }
    match (is_any, tags.is_empty()) {
        (false, false) => Ok(Some(Tags::Listed(tags))),
        (true, true) => Ok(Some(Tags::Any)),
        (true, false) => Err(malformed("it has either `*` or entity tags")),
        (false, true) => Err(malformed("it has no entity tag")),
    }
}

fn trim(text: &[u8]) -> &[u8] {
    let begin = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
    begin.map_or(&[], |begin| &text[begin..])
}

/// The tag that `text` begins with, and what comes after it.
fn entity_tag(text: &[u8]) -> Option<(EntityTag, &[u8])> {
    let (is_weak, text) = match text.strip_prefix(b"W/") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let text = text.strip_prefix(b"\"")?;
    let end = text.iter().position(|byte| *byte == b'"')?;
    let (opaque, after) = (&text[..end], &text[end + 1..]);
    let is_valid = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..);
    opaque.iter().all(is_valid).then(|| {
        let version = version_of(opaque);
        (EntityTag { is_weak, version }, after)
    })
}

/// Tags are compared as text, so only the number exactly as it is written in a tag counts.
fn version_of(opaque: &[u8]) -> Option<Version> {
    let version: Version = std::str::from_utf8(opaque).ok()?.parse().ok()?;
    let is_exact = version != 0 && version.to_string().as_bytes() == opaque;
    is_exact.then_some(version)
}
