//! The states of aggregates whose types the host has registered: [`KnownType`], and what an event
//! changed in one: [`changes`].

use serde_json::Value;

use crate::domain::aggregate::{Aggregate, States, states_of};

/// How many changes are told.
const MOST_CHANGES: usize = 200;

/// A registered type.
#[derive(Clone, Copy)]
pub(crate) struct KnownType {
    /// The name of the aggregate type.
    pub(crate) name: &'static str,
    /// Makes the state before the first event.
    pub(crate) begin: fn() -> Box<dyn States>,
}

impl KnownType {
    pub(crate) fn of<A: Aggregate>() -> Self {
        Self {
            name: A::AGGREGATE_TYPE,
            begin: states_of::<A>,
        }
    }
}

/// What differs between two states.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) listed: Vec<Change>,
    /// How many more there are.
    pub(crate) more: usize,
}

/// A value that differs. JSON texts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// As `items[2].amount`; empty for the whole state.
    pub(crate) path: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// What is different in `after`. Both are JSON texts; `None` if one cannot be read as such.
pub(crate) fn changes(before: &str, after: &str) -> Option<Changes> {
    let read = |text| serde_json::from_str::<Value>(text).ok();
    Some(differences(&read(before)?, &read(after)?))
}

fn differences(before: &Value, after: &Value) -> Changes {
    let mut changes = Changes {
        listed: Vec::new(),
        more: 0,
    };
    compare(String::new(), Some(before), Some(after), &mut changes);
    changes
}

// A `Value` that was read is nested 128 times at most.
fn compare(path: String, before: Option<&Value>, after: Option<&Value>, to: &mut Changes) {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for (name, value) in before {
                compare(member(&path, name), Some(value), after.get(name), to);
            }
            for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
                compare(member(&path, name), None, Some(value), to);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for i in 0..before.len().max(after.len()) {
                compare(format!("{path}[{i}]"), before.get(i), after.get(i), to);
            }
        }
        (before, after) if to.listed.len() < MOST_CHANGES => to.listed.push(Change {
            path,
            before: before.map(Value::to_string),
            after: after.map(Value::to_string),
        }),
        _ => to.more += 1,
    }
}

fn member(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn changes_name_each_value_that_differs_and_no_other() {
        let before = json!({"a": 1, "b": {"c": [1, 2], "d": "x"}, "gone": true});
        let after = json!({"a": 1, "b": {"c": [1, 3, 4], "d": "x"}, "new": null});
        let found: Vec<_> = differences(&before, &after)
            .listed
            .into_iter()
            .map(|change| (change.path, change.before, change.after))
            .collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                ("b.c[1]".to_owned(), text("2"), text("3")),
                ("b.c[2]".to_owned(), None, text("4")),
                ("gone".to_owned(), text("true"), None),
                ("new".to_owned(), None, text("null")),
            ]
        );
    }

    #[test]
    fn more_changes_than_can_be_told_are_counted() {
        let many: Vec<u32> = (0..1_000).collect();
        let found = differences(&json!([]), &json!(many));
        assert_eq!((found.listed.len(), found.more), (200, 800));
    }
}
