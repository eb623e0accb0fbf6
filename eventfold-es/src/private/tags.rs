//! The tags of a field that is marked `#[tag]`: one, or those of a list.

use std::marker::PhantomData;

use crate::event::{InvalidTag, TagText, Tags};

/// The tags of a field of type `T`.
///
/// If the type has a text, the compiler selects the function here, and otherwise that of
/// [`NotOneTag`], for an `Option` or a list. It looks at the type, so an alias is as good as a name.
#[derive(Debug)]
pub struct TagOf<T>(PhantomData<T>);

impl<T: TagText> TagOf<T> {
    #[inline]
    pub fn __append(name: &'static str, value: &T, tags: &mut Tags) -> Result<(), InvalidTag> {
        tags.add(name, value)
    }
}

/// For a type without a text of its own.
pub trait NotOneTag<T>: Sized {
    #[inline]
    fn __append(name: &'static str, values: &T, tags: &mut Tags) -> Result<(), InvalidTag>
    where
        T: TagValues,
    {
        values.append_all(name, tags)
    }
}

impl<T> NotOneTag<T> for TagOf<T> {}

/// A list of values, each of which makes a tag; an `Option` is a list too.
///
/// The impl requires more than the trait, and is not recommended. So the compiler reports the type of
/// the field once.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a tag",
    label = "`{Self}` does not implement `Display`, and is no list of values that do",
    note = "implement `std::fmt::Display` for it, or for the values in it"
)]
pub trait TagValues {
    /// Appends a tag for each value.
    fn append_all(&self, name: &'static str, tags: &mut Tags) -> Result<(), InvalidTag>;
}

#[diagnostic::do_not_recommend]
impl<L> TagValues for L
where
    for<'a> &'a L: IntoIterator<Item: TagText>,
{
    fn append_all(&self, name: &'static str, tags: &mut Tags) -> Result<(), InvalidTag> {
        self.into_iter().try_for_each(|value| tags.add(name, value))
    }
}
