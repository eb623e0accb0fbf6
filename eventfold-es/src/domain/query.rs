//! Which events a reader or a decision wants: [`Query`] and [`QueryItem`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::event::{DomainEvent, Tag, Tags};

/// Selects events by their stored names and their tags.
///
/// It is a query of the specification [Dynamic Consistency Boundary](https://dcb.events): one or more
/// [items](QueryItem), of which an event must match at least one, or [all](Self::all) events.
///
/// ```
/// use eventfold_es::{Query, QueryItem, Tag, Tags};
///
/// let course = Tag::new("course", "c-1")?;
/// let student = Tag::new("student", "s-7")?;
/// let query = Query::of(QueryItem::of_type("CourseDefined").with_tag(course.clone()))
///     .or(QueryItem::of_type("Subscribed").with_tag(student.clone()));
///
/// let tags = Tags::from([course, student]);
/// assert!(query.matches("CourseDefined", &tags) && query.matches("Subscribed", &tags));
/// assert!(!query.matches("CourseDefined", &Tags::new()) && !query.matches("Other", &tags));
/// # Ok::<(), eventfold_es::InvalidTag>(())
/// ```
///
/// As JSON it is `"all"`, or has its items:
///
/// ```
/// # use eventfold_es::{Query, QueryItem, Tag};
/// # let query = Query::of(QueryItem::of_type("Subscribed").with_tag(Tag::new("course", "c-1")?));
/// let json = serde_json::to_string(&query)?;
/// assert_eq!(json, r#"{"items":[{"types":["Subscribed"],"tags":["course:c-1"]}]}"#);
/// assert_eq!(serde_json::from_str::<Query>(&json)?, query);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("dcb", "dynamic consistency boundary"))]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct Query {
    /// `None` for all events, empty for [`nothing`](Self::nothing) only.
    items: Option<Vec<QueryItem>>,
}

impl Query {
    /// Every event.
    ///
    /// ```
    /// # use eventfold_es::{Query, Tags};
    /// assert!(Query::all().matches("Subscribed", &Tags::new()));
    /// ```
    #[must_use]
    pub const fn all() -> Self {
        Self { items: None }
    }

    /// No event. No public function makes it.
    pub(crate) const fn nothing() -> Self {
        Self {
            items: Some(Vec::new()),
        }
    }

    /// The events that match this item.
    ///
    /// See the example of [`Query`].
    #[must_use]
    pub fn of(item: QueryItem) -> Self {
        Self {
            items: Some(vec![item]),
        }
    }

    /// The events that match at least one of the items.
    ///
    /// # Errors
    ///
    /// [`InvalidQuery`] if there is no item. [`all`](Self::all) selects every event.
    ///
    /// ```
    /// # use eventfold_es::{Query, QueryItem};
    /// let query = Query::of_items(["Opened", "Closed"].map(QueryItem::of_type))?;
    /// assert_eq!(query.items().map(<[QueryItem]>::len), Some(2));
    /// assert!(Query::of_items([]).is_err());
    /// # Ok::<(), eventfold_es::InvalidQuery>(())
    /// ```
    pub fn of_items(items: impl IntoIterator<Item = QueryItem>) -> Result<Self, InvalidQuery> {
        let items = Vec::from_iter(items);
        if items.is_empty() {
            return Err(InvalidQuery::NoItems);
        }
        Ok(Self { items: Some(items) })
    }

    /// Also the events that match this item.
    ///
    /// See the example of [`Query`].
    #[must_use]
    pub fn or(mut self, item: QueryItem) -> Self {
        if let Some(items) = &mut self.items
            && !items.contains(&item)
        {
            items.push(item);
        }
        self
    }

    /// The events of both queries.
    ///
    /// ```
    /// # use eventfold_es::{Query, QueryItem};
    /// let [opened, closed] = ["Opened", "Closed"].map(|name| Query::of(QueryItem::of_type(name)));
    /// assert_eq!(opened.clone().or_all_of(closed).items().map(<[QueryItem]>::len), Some(2));
    /// assert_eq!(opened.or_all_of(Query::all()), Query::all());
    /// ```
    #[must_use]
    pub fn or_all_of(self, other: Self) -> Self {
        match other.items {
            Some(items) => items.into_iter().fold(self, Self::or),
            None => other,
        }
    }

    /// The items, `None` if it selects every event.
    ///
    /// See the example of [`of_items`](Self::of_items).
    #[must_use]
    pub fn items(&self) -> Option<&[QueryItem]> {
        self.items.as_deref()
    }

    /// Whether it selects an event with this stored name and these tags.
    ///
    /// See the example of [`Query`].
    #[must_use]
    pub fn matches(&self, name: &str, tags: &Tags) -> bool {
        match &self.items {
            None => true,
            Some(items) => items.iter().any(|item| item.matches(name, tags)),
        }
    }
}

impl From<QueryItem> for Query {
    fn from(item: QueryItem) -> Self {
        Self::of(item)
    }
}

/// An item of a [`Query`]: an event matches it if its stored name is one of the types, and if it has
/// all of the tags.
///
/// Without types it matches every name, without tags any tags. An item with neither is refused: use
/// [`Query::all`]. Types are stored names, and an alias is a name of its own here:
/// [`or_event`](Self::or_event) adds those of a [`DomainEvent`](crate::DomainEvent) with all aliases.
///
/// ```
/// use eventfold_es::{QueryItem, Tag, Tags};
///
/// let course = Tag::new("course", "c-1")?;
/// let item = QueryItem::of_type("Subscribed")
///     .or_type("Unsubscribed")
///     .with_tag(course.clone());
/// assert!(item.matches("Unsubscribed", &Tags::from(course.clone())));
/// assert!(!item.matches("Unsubscribed", &Tags::new()));
/// assert!(QueryItem::tagged(course.clone()).matches("CourseDefined", &course.into()));
/// # Ok::<(), eventfold_es::InvalidTag>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "ItemForm")]
pub struct QueryItem {
    /// In order, without repetitions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    types: Vec<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
}

impl QueryItem {
    /// The events with one of these stored names and all of these tags.
    ///
    /// # Errors
    ///
    /// [`InvalidQuery`] if there are neither names nor tags.
    ///
    /// ```
    /// # use eventfold_es::{QueryItem, Tags};
    /// let item = QueryItem::new(["Subscribed"], Tags::new())?;
    /// assert_eq!(item, QueryItem::of_type("Subscribed"));
    /// assert!(QueryItem::new([""; 0], Tags::new()).is_err());
    /// # Ok::<(), eventfold_es::InvalidQuery>(())
    /// ```
    pub fn new<T>(types: impl IntoIterator<Item = T>, tags: Tags) -> Result<Self, InvalidQuery>
    where
        T: Into<Cow<'static, str>>,
    {
        let mut types: Vec<_> = types.into_iter().map(Into::into).collect();
        if types.is_empty() && tags.is_empty() {
            return Err(InvalidQuery::EmptyItem);
        }
        types.sort_unstable();
        types.dedup();
        Ok(Self { types, tags })
    }

    /// The events with this stored name.
    ///
    /// See the example of [`QueryItem`].
    #[must_use]
    pub fn of_type(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            types: vec![name.into()],
            tags: Tags::new(),
        }
    }

    /// The events with this tag.
    ///
    /// See the example of [`QueryItem`].
    #[must_use]
    pub fn tagged(tag: Tag) -> Self {
        Self {
            types: Vec::new(),
            tags: tag.into(),
        }
    }

    /// Also the events with this stored name. An item that matched every name matches only this one
    /// then.
    ///
    /// See the example of [`QueryItem`].
    #[must_use]
    pub fn or_type(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        if let Err(place) = self.types.binary_search(&name) {
            self.types.insert(place, name);
        }
        self
    }

    /// Also the events of `E`, under their names and all their aliases.
    ///
    /// ```
    /// # use eventfold_es::{DomainEvent, QueryItem};
    /// #[derive(serde::Serialize, serde::Deserialize, DomainEvent)]
    /// #[event(name = "Enrolled", alias = "Subscribed")]
    /// struct Enrolled;
    ///
    /// let item = QueryItem::of_type("CourseDefined").or_event::<Enrolled>();
    /// assert!(item.types().eq(["CourseDefined", "Enrolled", "Subscribed"]));
    /// ```
    #[must_use]
    pub fn or_event<E: DomainEvent>(self) -> Self {
        let names = E::NAMES.iter();
        let names = names.flat_map(|event| {
            [event.name]
                .into_iter()
                .chain(event.aliases.iter().copied())
        });
        names.fold(self, Self::or_type)
    }

    /// Only events that also have this tag.
    ///
    /// See the example of [`QueryItem`].
    #[must_use]
    pub fn with_tag(mut self, tag: Tag) -> Self {
        self.tags.insert(tag);
        self
    }

    /// The stored names in order, none if it matches every name.
    ///
    /// ```
    /// # use eventfold_es::QueryItem;
    /// let item = QueryItem::of_type("Unsubscribed").or_type("Subscribed");
    /// assert!(item.types().eq(["Subscribed", "Unsubscribed"]));
    /// ```
    pub fn types(&self) -> impl ExactSizeIterator<Item = &str> {
        self.types.iter().map(|name| &**name)
    }

    /// The tags that an event must have.
    ///
    /// ```
    /// # use eventfold_es::{QueryItem, Tag};
    /// let course = Tag::new("course", "c-1")?;
    /// assert_eq!(QueryItem::tagged(course.clone()).tags().as_slice(), [course]);
    /// # Ok::<(), eventfold_es::InvalidTag>(())
    /// ```
    #[must_use]
    pub fn tags(&self) -> &Tags {
        &self.tags
    }

    /// Whether an event with this stored name and these tags matches.
    ///
    /// See the example of [`QueryItem`].
    #[must_use]
    pub fn matches(&self, name: &str, tags: &Tags) -> bool {
        let is_of_type = self.types.is_empty() || self.types.iter().any(|known| known == name);
        is_of_type && tags.contains_all(&self.tags)
    }
}

/// A query that selects nothing, or an item that selects everything.
///
/// ```
/// # use eventfold_es::{Query, QueryItem};
/// let error = Query::of_items([]).unwrap_err();
/// assert_eq!(error.to_string(), "the query has no items; `Query::all()` selects every event");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidQuery {
    /// The query has no items.
    #[error("the query has no items; `Query::all()` selects every event")]
    NoItems,
    /// An item has neither types nor tags.
    #[error("the item has neither types nor tags; `Query::all()` selects every event")]
    EmptyItem,
}

impl From<InvalidQuery> for std::io::Error {
    fn from(error: InvalidQuery) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}

/// A query as serde writes it.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Query", rename_all = "lowercase")]
enum Form {
    All,
    Items(Vec<QueryItem>),
}

impl From<Query> for Form {
    fn from(query: Query) -> Self {
        query.items.map_or(Self::All, Self::Items)
    }
}

impl TryFrom<Form> for Query {
    type Error = InvalidQuery;

    fn try_from(form: Form) -> Result<Self, InvalidQuery> {
        match form {
            Form::All => Ok(Self::all()),
            Form::Items(items) => Self::of_items(items),
        }
    }
}

/// An item as serde reads it.
#[derive(Deserialize)]
#[serde(rename = "QueryItem", deny_unknown_fields)]
struct ItemForm {
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    tags: Tags,
}

impl TryFrom<ItemForm> for QueryItem {
    type Error = InvalidQuery;

    fn try_from(ItemForm { types, tags }: ItemForm) -> Result<Self, InvalidQuery> {
        Self::new(types, tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(texts: &[&str]) -> Tags {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_item_matches_one_of_its_types_and_all_of_its_tags() {
        let item = QueryItem::new(["B", "A"], tags(&["x:1", "y:1"])).unwrap();
        let both = tags(&["w:0", "x:1", "y:1", "y:2"]);
        assert!(item.matches("A", &both) && item.matches("B", &both));
        assert!(!item.matches("C", &both));
        assert!(!item.matches("A", &tags(&["x:1"])));
        assert!(!item.matches("A", &tags(&["x:1", "y:2"])));
        assert!(!item.matches("A", &Tags::new()));
    }

    #[test]
    fn an_item_without_types_matches_every_name_and_one_without_tags_any_tags() {
        let tagged = QueryItem::tagged("x:1".parse().unwrap());
        assert!(tagged.matches("A", &tags(&["x:1", "y:1"])) && !tagged.matches("A", &Tags::new()));
        let named = QueryItem::of_type("A");
        assert!(named.matches("A", &Tags::new()) && named.matches("A", &tags(&["x:1"])));
        assert!(!named.matches("B", &Tags::new()));
    }

    #[test]
    fn a_query_matches_what_one_of_its_items_matches() {
        let query = Query::of(QueryItem::of_type("A").with_tag("x:1".parse().unwrap()))
            .or(QueryItem::of_type("B").with_tag("y:1".parse().unwrap()));
        assert!(query.matches("A", &tags(&["x:1"])) && query.matches("B", &tags(&["y:1"])));
        // Type and tags are of one item.
        assert!(!query.matches("A", &tags(&["y:1"])) && !query.matches("B", &tags(&["x:1"])));
    }

    #[test]
    fn an_equal_item_is_kept_once_whatever_the_order_of_its_parts() {
        let one = QueryItem::new(["B", "A", "B"], tags(&["y:1", "x:1"])).unwrap();
        let other = QueryItem::new(["A", "B"], tags(&["x:1", "y:1"])).unwrap();
        assert_eq!(one, other);
        assert_eq!(Query::of(one.clone()).or(other), Query::of(one));
    }

    #[test]
    fn a_query_is_read_from_json_as_it_was_written_and_never_empty() {
        let query = Query::of(QueryItem::new(["A"], Tags::new()).unwrap())
            .or(QueryItem::tagged("x:1".parse().unwrap()));
        let json = serde_json::to_string(&query).unwrap();
        assert_eq!(json, r#"{"items":[{"types":["A"]},{"tags":["x:1"]}]}"#);
        assert_eq!(serde_json::from_str::<Query>(&json).unwrap(), query);
        assert_eq!(serde_json::to_string(&Query::all()).unwrap(), r#""all""#);
        assert_eq!(
            serde_json::from_str::<Query>(r#""all""#).unwrap(),
            Query::all()
        );
        for json in [
            r#"{"items":[]}"#,
            r#"{"items":[{}]}"#,
            r#"{"items":[{"type":["A"]}]}"#,
        ] {
            assert!(serde_json::from_str::<Query>(json).is_err(), "{json}");
        }
    }
}
