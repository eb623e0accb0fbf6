//! The tags of events: [`Tag`], [`Tags`], and the text of a tag's value, [`TagText`].

use std::borrow::{Borrow, Cow};
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::event::EventName;
use crate::text::Shown;

/// A tag of an event, by which decisions and queries find it.
///
/// The tags of events are usually made by `#[tag]` on their fields (see
/// [`derive@DomainEvent`](crate::DomainEvent)). Those have the form `name:value`. To a store a tag is
/// any text of at most [`MAX_BYTES`](Self::MAX_BYTES) bytes, without control characters. Two tags are
/// the same if their texts are the same, byte by byte: so normalise what people type.
///
/// ```
/// use eventfold_es::Tag;
///
/// let tag = Tag::new("course", "c:1")?;
/// assert_eq!(tag.as_str(), "course:c:1");
/// assert_eq!((tag.name(), tag.value()), ("course", Some("c:1")));
/// assert_eq!("course:c:1".parse(), Ok(tag));
/// # Ok::<(), eventfold_es::InvalidTag>(())
/// ```
#[doc(alias("dcb", "dynamic consistency boundary"))]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The length of the longest possible tag, in bytes. The tag `<aggregate type>:<id>` of any
    /// aggregate is shorter.
    pub const MAX_BYTES: usize = 1024;

    /// The tag `name:value`.
    ///
    /// # Errors
    ///
    /// [`InvalidTag`] if the name or the value is empty, if the name contains `:`, if one of them has
    /// control characters, if the value's `Display` fails, or if the tag is longer than
    /// [`MAX_BYTES`](Self::MAX_BYTES).
    ///
    /// ```
    /// # use eventfold_es::Tag;
    /// let refused = Tag::new("course", "").unwrap_err();
    /// assert_eq!(refused.to_string(), "the tag `course:` has no value");
    /// ```
    pub fn new(name: &str, value: impl TagText) -> Result<Self, InvalidTag> {
        let mut text = String::with_capacity(name.len() + 24);
        text.push_str(name);
        text.push(':');
        let written = write!(text, "{value}");
        let reason = if written.is_err() {
            Some(Reason::NoText)
        } else if name.is_empty() {
            Some(Reason::NoName)
        } else if name.contains(':') {
            Some(Reason::ColonInName)
        } else if text.len() == name.len() + 1 {
            Some(Reason::NoValue)
        } else {
            None
        };
        match reason {
            Some(reason) => Err(InvalidTag::new(&text, reason)),
            None => Self::of_text(&text),
        }
    }

    /// Any text as a tag.
    fn of_text(text: &str) -> Result<Self, InvalidTag> {
        let reason = if text.is_empty() {
            Reason::Empty
        } else if text.len() > Self::MAX_BYTES {
            Reason::TooLong(text.len())
        } else if text.chars().any(char::is_control) {
            Reason::Control
        } else {
            return Ok(Self(text.into()));
        };
        Err(InvalidTag::new(text, reason))
    }

    /// The whole tag.
    ///
    /// See the example of [`Tag`].
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag up to its first `:`, or all of it.
    ///
    /// See the example of [`Tag`].
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or(&*self.0, |(name, _)| name)
    }

    /// The tag after its first `:`, `None` if there is none.
    ///
    /// See the example of [`Tag`].
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.0.split_once(':').map(|(_, value)| value)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A map by tags can be asked with a text.
impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Any text, also one that has not the form `name:value`.
impl FromStr for Tag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        Self::of_text(text)
    }
}

impl TryFrom<&str> for Tag {
    type Error = InvalidTag;

    fn try_from(text: &str) -> Result<Self, InvalidTag> {
        Self::of_text(text)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Tag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tag")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Tag, E> {
                Tag::of_text(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// A text that cannot be a [`Tag`]. As an I/O error its kind is
/// [`InvalidInput`](std::io::ErrorKind::InvalidInput).
///
/// ```
/// # use eventfold_es::Tag;
/// let error = Tag::new("course", "c\n1").unwrap_err();
/// assert_eq!(error.to_string(), "the tag `course:c\\u{a}1` contains a control character");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tag `{}` {reason}", Shown(.text))]
pub struct InvalidTag {
    text: String,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Empty,
    NoName,
    NoValue,
    NoText,
    ColonInName,
    Control,
    TooLong(usize),
}

impl InvalidTag {
    fn new(text: &str, reason: Reason) -> Self {
        Self {
            text: text.chars().take(80).collect(),
            reason,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::NoName => f.write_str("has no name"),
            Self::NoValue => f.write_str("has no value"),
            Self::NoText => f.write_str("has a value that failed to write its text"),
            Self::ColonInName => f.write_str("has a name that contains `:`"),
            Self::Control => f.write_str("contains a control character"),
            Self::TooLong(bytes) => write!(
                f,
                "is {bytes} bytes long, at most {} are possible",
                Tag::MAX_BYTES
            ),
        }
    }
}

impl From<InvalidTag> for std::io::Error {
    fn from(error: InvalidTag) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}

/// The tags of an event, or of an item of a [query](crate::Query): a set in the order of their texts.
///
/// ```
/// use eventfold_es::{Tag, Tags};
///
/// let mut tags = Tags::new();
/// tags.insert(Tag::new("student", "s-7")?);
/// tags.insert(Tag::new("course", "c-1")?);
/// tags.insert(Tag::new("course", "c-1")?);
/// assert_eq!(tags.to_string(), "course:c-1 student:s-7");
/// assert!(tags.contains("course:c-1"));
/// # Ok::<(), eventfold_es::InvalidTag>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Tag>")]
pub struct Tags(Vec<Tag>);

impl Tags {
    /// No tags.
    ///
    /// See the example of [`Tags`].
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a tag. Returns whether it was not there yet.
    ///
    /// See the example of [`Tags`].
    pub fn insert(&mut self, tag: Tag) -> bool {
        let place = self.0.binary_search(&tag);
        if let Err(place) = place {
            self.0.insert(place, tag);
        }
        place.is_err()
    }

    /// Adds the tag `name:value`.
    ///
    /// # Errors
    ///
    /// As [`Tag::new`]. No tag is added then.
    ///
    /// ```
    /// # use eventfold_es::Tags;
    /// let mut tags = Tags::new();
    /// tags.add("room", 7)?;
    /// assert!(tags.contains("room:7"));
    /// # Ok::<(), eventfold_es::InvalidTag>(())
    /// ```
    pub fn add(&mut self, name: &str, value: impl TagText) -> Result<(), InvalidTag> {
        self.insert(Tag::new(name, value)?);
        Ok(())
    }

    /// Whether the tag with this text is among them.
    ///
    /// See the example of [`Tags`].
    #[must_use]
    pub fn contains(&self, tag: &str) -> bool {
        self.0
            .binary_search_by(|known| known.as_str().cmp(tag))
            .is_ok()
    }

    /// Whether each tag of `others` is among them.
    ///
    /// ```
    /// # use eventfold_es::{Tag, Tags};
    /// let both: Tags = [Tag::new("course", "c-1")?, Tag::new("student", "s-7")?].into();
    /// assert!(both.contains_all(&[Tag::new("course", "c-1")?].into()));
    /// assert!(both.contains_all(&Tags::new()));
    /// # Ok::<(), eventfold_es::InvalidTag>(())
    /// ```
    #[must_use]
    pub fn contains_all(&self, others: &Self) -> bool {
        others.iter().all(|tag| self.contains(tag.as_str()))
    }

    /// How many tags there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tags in the order of their texts.
    ///
    /// ```
    /// # use eventfold_es::{Tag, Tags};
    /// let tags: Tags = [Tag::new("room", 7)?, Tag::new("floor", 2)?].into();
    /// assert!(tags.iter().map(Tag::as_str).eq(["floor:2", "room:7"]));
    /// # Ok::<(), eventfold_es::InvalidTag>(())
    /// ```
    pub fn iter(&self) -> std::slice::Iter<'_, Tag> {
        self.0.iter()
    }

    /// The tags in the order of their texts.
    #[must_use]
    pub fn as_slice(&self) -> &[Tag] {
        &self.0
    }

    /// Removes all tags, and keeps the memory for others.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Tags {
    /// The tags as a [`Recorded`](crate::Recorded) has them.
    pub(crate) fn recorded(&self) -> Vec<Cow<'_, str>> {
        self.0.iter().map(|tag| tag.as_str().into()).collect()
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.0).finish()
    }
}

/// The tags with a space between them.
impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, tag) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            Shown(tag).fmt(f)?;
        }
        Ok(())
    }
}

impl From<Vec<Tag>> for Tags {
    fn from(mut tags: Vec<Tag>) -> Self {
        tags.sort_unstable();
        tags.dedup();
        Self(tags)
    }
}

impl<const N: usize> From<[Tag; N]> for Tags {
    fn from(tags: [Tag; N]) -> Self {
        Vec::from(tags).into()
    }
}

impl From<Tag> for Tags {
    fn from(tag: Tag) -> Self {
        Self(vec![tag])
    }
}

impl FromIterator<Tag> for Tags {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        Vec::from_iter(tags).into()
    }
}

impl Extend<Tag> for Tags {
    fn extend<I: IntoIterator<Item = Tag>>(&mut self, tags: I) {
        for tag in tags {
            self.insert(tag);
        }
    }
}

impl IntoIterator for Tags {
    type Item = Tag;
    type IntoIter = std::vec::IntoIter<Tag>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Tags {
    type Item = &'a Tag;
    type IntoIter = std::slice::Iter<'a, Tag>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// The text of a value in a tag. Every type that is [`Display`](fmt::Display) has it.
///
/// ```
/// use eventfold_es::Tag;
/// use std::fmt;
///
/// struct CourseId(u32);
///
/// impl fmt::Display for CourseId {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         write!(f, "c-{}", self.0)
///     }
/// }
///
/// assert_eq!(Tag::new("course", CourseId(1))?.as_str(), "course:c-1");
/// # Ok::<(), eventfold_es::InvalidTag>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a tag",
    label = "`{Self}` has no text: it does not implement `Display`",
    note = "implement `std::fmt::Display` for `{Self}`"
)]
pub trait TagText: fmt::Display {}

#[diagnostic::do_not_recommend]
impl<T: fmt::Display + ?Sized> TagText for T {}

/// Whether an event with one of these names may have a tag. Not part of the public interface.
#[must_use]
pub const fn has_tags(names: &[EventName]) -> bool {
    let mut name = 0;
    while name < names.len() {
        if !names[name].tags.is_empty() {
            return true;
        }
        name += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_a_name_a_value_and_no_control_characters() {
        for (name, value) in [
            ("course", "c-1"),
            ("course", "a:b c"),
            ("ж", "日本"),
            (" ", " "),
        ] {
            let tag = Tag::new(name, value).unwrap();
            assert_eq!((tag.name(), tag.value()), (name, Some(value)));
        }
        for (name, value, reason) in [
            ("", "c-1", "has no name"),
            ("course", "", "has no value"),
            ("a:b", "c-1", "has a name that contains `:`"),
            ("course", "c\u{7f}", "contains a control character"),
            ("cou\trse", "c", "contains a control character"),
        ] {
            let error = Tag::new(name, value).unwrap_err().to_string();
            assert!(error.ends_with(reason), "{error}");
        }
    }

    #[test]
    fn a_tag_is_at_most_as_long_as_its_limit() {
        let longest = "x".repeat(Tag::MAX_BYTES - 2);
        assert_eq!(
            Tag::new("n", &longest).unwrap().as_str().len(),
            Tag::MAX_BYTES
        );
        let error = Tag::new("n", longest + "x").unwrap_err().to_string();
        assert!(
            error.ends_with("is 1025 bytes long, at most 1024 are possible"),
            "{error}"
        );
        assert!(error.len() < 200, "{error}");
    }

    #[test]
    fn any_text_that_is_not_empty_can_be_read_as_a_tag() {
        let tag: Tag = "opaque".parse().unwrap();
        assert_eq!((tag.name(), tag.value()), ("opaque", None));
        assert_eq!(
            "".parse::<Tag>().unwrap_err().to_string(),
            "the tag `` is empty"
        );
        assert!(serde_json::from_str::<Tag>("\"a\\nb\"").is_err());
    }

    #[test]
    fn tags_are_a_set_however_they_are_read() {
        let read: Tags = serde_json::from_str(r#"["b:1","a:1","b:1"]"#).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["a:1","b:1"]"#);
        let tags = ["b:1", "a:1", "b:1"].map(|text| text.parse().unwrap());
        assert_eq!(Tags::from(tags.clone()), read);
        let mut extended = Tags::new();
        extended.extend(tags);
        assert_eq!(extended, read);
        assert!(read.contains("b:1") && !read.contains("b"));
    }
}
