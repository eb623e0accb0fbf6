//! Personal data as it is stored: [`Envelope`], and where envelopes are in a text of JSON: [`Marked`].

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use crate::personal::key::{Secret, Unsealable};

/// The first member of an envelope.
pub(crate) const MARK: &str = "$personal";

/// A value that is encrypted with the key of a subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Envelope {
    /// Whose it is.
    #[serde(rename = "$personal")]
    pub(crate) subject: String,
    /// The store that the key is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keys: Option<String>,
    /// The id of the event that it was stored in. A value of no event has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<String>,
    /// The place in that event's payload, as a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// Nonce, ciphertext and tag in Base64. Without it, the value was erased before it was stored here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sealed: Option<String>,
}

impl Pending {
    /// The value that is marked by `bytes`, `None` if it is another object.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let number = bytes.strip_prefix(b"{\"$personal\":");
        let number = number.and_then(|rest| rest.strip_suffix(b"}"));
        let digits = number.filter(|number| number.iter().all(u8::is_ascii_digit))?;
        let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Self { number })
    }
}

impl Envelope {
    /// Encrypts `plain`, which is in no event.
    pub(crate) fn seal(secret: &Secret, keys: &str, plain: &[u8]) -> Result<Self, Unsealable> {
        let mut envelope = Self {
            keys: Some(keys.to_owned()),
            ..Self::erased(secret.subject())
        };
        let sealed = secret.seal(plain, &envelope.bound())?;
        envelope.sealed = Some(BASE64.encode(sealed));
        Ok(envelope)
    }

    /// Encrypts `plain` for a field of an event, and adds the envelope to `out` as it is stored.
    pub(crate) fn seal_into(
        out: &mut Vec<u8>,
        secret: &Secret,
        keys: &str,
        (event, field): (&str, &str),
        plain: &[u8],
    ) -> Result<(), Unsealable> {
        let bound = bound([Some(secret.subject()), Some(keys), Some(event), Some(field)]);
        let sealed = secret.seal(plain, &bound)?;
        out.extend_from_slice(b"{\"$personal\":");
        write_text(out, secret.subject());
        out.extend_from_slice(b",\"keys\":");
        write_text(out, keys);
        out.extend_from_slice(&place_of(event));
        write_text(out, field);
        out.extend_from_slice(BEFORE_SEALED);
        let start = out.len();
        out.resize(start + sealed.len().div_ceil(3) * 4, 0);
        let length = BASE64.encode_slice(&sealed, &mut out[start..]);
        out.truncate(start + length.expect("there is room"));
        out.extend_from_slice(b"\"}");
        Ok(())
    }

    /// A value of `subject` that is erased.
    pub(crate) fn erased(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            keys: None,
            event: None,
            field: None,
            sealed: None,
        }
    }

    /// Decrypts the value.
    pub(crate) fn open(&self, secret: &Secret) -> Result<zeroize::Zeroizing<Vec<u8>>, Unsealable> {
        let sealed = self.sealed.as_deref().unwrap_or_default();
        let sealed = BASE64
            .decode(sealed)
            .map_err(|_| Unsealable::NotAuthentic)?;
        secret.open(&sealed, &self.bound())
    }

    /// What the tag authenticates beside the ciphertext. No two envelopes with different members have the
    /// same.
    fn bound(&self) -> Vec<u8> {
        bound([
            Some(&self.subject),
            self.keys.as_deref(),
            self.event.as_deref(),
            self.field.as_deref(),
        ])
    }
}

fn bound(members: [Option<&str>; 4]) -> Vec<u8> {
    let mut bound = Vec::with_capacity(160);
    for member in members {
        let length = member.map_or(u64::MAX, |member| member.len() as u64);
        bound.extend_from_slice(&length.to_le_bytes());
        bound.extend_from_slice(member.map_or(&[][..], str::as_bytes));
    }
    bound
}

/// The text between the field of an envelope and its ciphertext.
const BEFORE_SEALED: &[u8] = b",\"sealed\":\"";

/// The text before the field in an envelope of this event.
fn place_of(event: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(event.len() + 24);
    out.extend_from_slice(b",\"event\":");
    write_text(&mut out, event);
    out.extend_from_slice(b",\"field\":");
    out
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("text in memory can be written as JSON");
    }
}

/// Looks for the place that an envelope states, without reading all of it.
pub(crate) struct StatedPlace {
    event: Vec<u8>,
    field: Vec<u8>,
}

impl StatedPlace {
    /// Of envelopes in the event `event`.
    pub(crate) fn of_event(event: &str) -> Self {
        Self {
            event: place_of(event),
            field: Vec::new(),
        }
    }

    /// Whether `envelope` says that it is of this event and of `field`. False also if it is not in the form in
    /// which envelopes are written.
    pub(crate) fn is_in(&mut self, envelope: &[u8], field: &str) -> bool {
        self.field.clear();
        write_text(&mut self.field, field);
        self.field.extend_from_slice(BEFORE_SEALED);
        let rest = envelope.strip_prefix(b"{\"$personal\":");
        let rest = rest.and_then(|rest| rest[length_of_string(rest)..].strip_prefix(b",\"keys\":"));
        let rest = rest.and_then(|rest| rest[length_of_string(rest)..].strip_prefix(&*self.event));
        rest.is_some_and(|rest| rest.starts_with(&self.field))
    }
}

/// The value that is sealed only once its place is known: a number instead of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Pending {
    #[serde(rename = "$personal")]
    pub(crate) number: usize,
}

/// A value in clear with its subject, as the testing kit has it.
#[cfg(feature = "testing")]
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InClear<T> {
    #[serde(rename = "$personal")]
    pub(crate) subject: String,
    pub(crate) clear: T,
}

/// An object in a text of JSON that begins with [`MARK`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Marked {
    /// Where it is in the text.
    pub(crate) bytes: Range<usize>,
    /// Where it is in the value, as a JSON pointer.
    pub(crate) field: String,
}

/// Finds the marked objects in `json`, in their order. It must be JSON; of another text it returns
/// something or other.
pub(crate) fn marked(json: &[u8]) -> Vec<Marked> {
    let mut found = Vec::new();
    let mut outer: Vec<Step> = Vec::new();
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'{' if begins_marked(&json[at..]) => {
                let end = at + length_of_object(&json[at..]);
                found.push(Marked {
                    bytes: at..end,
                    field: pointer(json, &outer),
                });
                at = end;
                continue;
            }
            b'{' => outer.push(Step::Member {
                name: 0..0,
                is_next: true,
            }),
            b'[' => outer.push(Step::Element(0)),
            b'}' | b']' => drop(outer.pop()),
            b',' => match outer.last_mut() {
                Some(Step::Element(number)) => *number += 1,
                Some(Step::Member { is_next, .. }) => *is_next = true,
                None => {}
            },
            b'"' => {
                let end = at + length_of_string(&json[at..]);
                if let Some(Step::Member { name, is_next }) = outer.last_mut()
                    && *is_next
                {
                    (*name, *is_next) = (at..end, false);
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// A step from a value to one that is in it.
enum Step {
    /// A member of an object; where its name is, and whether a name comes next.
    Member {
        name: Range<usize>,
        is_next: bool,
    },
    Element(usize),
}

fn pointer(json: &[u8], steps: &[Step]) -> String {
    let mut pointer = String::new();
    for step in steps {
        match step {
            Step::Element(number) => {
                let _ = write!(pointer, "/{number}");
            }
            Step::Member { name, .. } => {
                let name = text(&json[name.clone()]);
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
            }
        }
    }
    pointer
}

/// Whether the first member of an object is the mark, in any spelling.
fn begins_marked(object: &[u8]) -> bool {
    let rest = object[1..].trim_ascii_start();
    rest.first() == Some(&b'"') && text(&rest[..length_of_string(rest)]) == MARK
}

/// The text of a string, with its quotes and escapes.
fn text(string: &[u8]) -> Cow<'_, str> {
    if !string.contains(&b'\\') {
        let inner = string.get(1..string.len().saturating_sub(1));
        return String::from_utf8_lossy(inner.unwrap_or_default());
    }
    serde_json::from_slice::<String>(string).map_or(Cow::Borrowed(""), Cow::Owned)
}

/// How long the string at the beginning of `json` is, with its quotes.
fn length_of_string(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    json.len()
}

/// How long the object at the beginning of `json` is.
fn length_of_object(json: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                at += length_of_string(&json[at..]);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personal::key::SubjectKey;

    fn fields(json: &str) -> Vec<(String, &str)> {
        let found = marked(json.as_bytes());
        found
            .into_iter()
            .map(|marked| (marked.field, &json[marked.bytes]))
            .collect()
    }

    #[test]
    fn the_stated_place_is_found_in_the_form_in_which_envelopes_are_written() {
        let secret = Secret::new("a\"b:1".into(), Some(SubjectKey::generate().unwrap()));
        let mut json = Vec::new();
        Envelope::seal_into(&mut json, &secret, "k", ("e-1", "/f/0"), b"5").unwrap();
        let read: Envelope = serde_json::from_slice(&json).unwrap();
        assert_eq!(*read.open(&secret).unwrap(), b"5");
        let mut stated = StatedPlace::of_event("e-1");
        assert!(stated.is_in(&json, "/f/0"));
        assert!(!stated.is_in(&json, "/f/") && !stated.is_in(&json, "/f/01"));
        assert!(!StatedPlace::of_event("e-2").is_in(&json, "/f/0"));
        for cut in 0..json.len() {
            stated.is_in(&json[..cut], "/f/0");
        }
    }

    #[test]
    fn marked_objects_are_found_with_their_places() {
        let json = r#"{"a":{"$personal":1},"b/~\n":[0,{"c":[],"d":[{ "\u0024personal" : "x\"}" , "e":[{}] }]},"$personal"],"f":{"x":1,"$personal":2}}"#;
        assert_eq!(
            fields(json),
            [
                ("/a".to_owned(), r#"{"$personal":1}"#),
                (
                    "/b~1~0\n/1/d/0".to_owned(),
                    r#"{ "\u0024personal" : "x\"}" , "e":[{}] }"#
                ),
            ]
        );
        assert_eq!(
            fields(r#"{"$personal":1}"#),
            [(String::new(), r#"{"$personal":1}"#)]
        );
    }

    #[test]
    fn text_that_is_cut_off_is_no_panic() {
        let json = r#"{"a":[{"$personal":"x\\\"","e":[{}]},{"b\u0041":"\u0024"}]}"#;
        for end in 0..json.len() {
            marked(&json.as_bytes()[..end]);
            marked(&json.as_bytes()[end..]);
        }
    }

    #[test]
    fn an_envelope_is_opened_only_with_the_members_that_it_was_sealed_with() {
        let secret = Secret::new("a:1".into(), Some(SubjectKey::generate().unwrap()));
        let mut json = Vec::new();
        Envelope::seal_into(&mut json, &secret, "k", ("e", "/f"), b"5").unwrap();
        let envelope: Envelope = serde_json::from_slice(&json).unwrap();
        assert_eq!(&**envelope.open(&secret).unwrap(), b"5");
        assert_eq!(serde_json::to_vec(&envelope).unwrap(), json);
        let changed: [fn(&mut Envelope); 6] = [
            |e| e.subject = "a:2".to_owned(),
            |e| e.keys = None,
            |e| e.event = Some("e/".to_owned()),
            |e| e.field = Some("/g".to_owned()),
            |e| (e.event, e.field) = (Some("e/".to_owned()), Some("f".to_owned())),
            |e| e.sealed = None,
        ];
        for change in changed {
            let mut other = envelope.clone();
            change(&mut other);
            assert!(other.open(&secret).is_err(), "{other:?}");
        }
    }
}
