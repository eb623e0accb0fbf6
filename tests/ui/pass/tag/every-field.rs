// Tagged fields of every type and form, in structs and in variants.
use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::num::NonZeroU8;
use std::sync::Arc;

use eventfold_es::{Tags, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Id<T>(T);

impl<T: fmt::Display> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

type Ids = BTreeSet<Id<u8>>;

mod other {
    pub type Perhaps = Option<super::Id<u8>>;
}

macro_rules! tagged {
    ($name:ident, $tag:literal, $field:ident: $type:ty) => {
        #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
        pub struct $name {
            #[tag]
            pub $field: $type,
            #[tag($tag)]
            pub other: $type,
        }
    };
}

tagged!(OfMacro, "second", first: Option<String>);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(name = "Tagged", version = 2, upcast(1 = tagged))]
pub struct Everything {
    #[tag]
    number: NonZeroU8,
    #[serde(rename = "text")]
    #[tag("a name")]
    #[tag("naïve")]
    cow: Cow<'static, str>,
    #[tag]
    r#type: Id<Id<char>>,
    #[tag]
    ids: Ids,
    #[tag("id")]
    perhaps: other::Perhaps,
    #[tag("id")]
    hashed: HashSet<u8>,
    #[tag]
    boxed: Box<str>,
    #[tag]
    array: [bool; 1],
}

fn tagged((): ()) -> Option<Everything> {
    None
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub enum Each {
    Unit,
    Tuple(u8, #[tag("id")] u8, #[tag("id")] Option<u8>),
    Struct {
        #[tag]
        r#for: String,
        __tag_0: u8,
    },
}

/// A type by itself is no text; one that it leads to is.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Shared(#[tag("of")] Id<Arc2>);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arc2(String);

impl fmt::Display for Arc2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Arc<str> = self.0.as_str().into();
        f.write_str(&text)
    }
}

fn tags<E: DomainEvent>(event: E) -> String {
    let mut tags = Tags::new();
    event.append_tags(&mut tags).unwrap();
    tags.to_string()
}

pub(super) fn main() {
    assert_eq!(tags(Each::Tuple(1, 2, Some(3))), "id:2 id:3");
    assert_eq!(
        tags(Each::Struct {
            r#for: "x".into(),
            __tag_0: 5
        }),
        "for:x"
    );
    assert_eq!(tags(Each::Unit), "");
    assert_eq!(tags(Shared(Id(Arc2("x".into())))), "of:x");
    let first = Some("a".to_owned());
    assert_eq!(
        tags(OfMacro {
            other: first.clone(),
            first
        }),
        "first:a second:a"
    );
    let mut names = Everything::NAMES[0].tags.iter();
    assert!(names.any(|name| *name == "naïve"));
}
