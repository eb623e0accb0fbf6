//! What an event type says about its events, for a [`Model`](crate::model::Model).

use serde_json::Value;

use crate::event::{DomainEvent, EventName};
use crate::model::{CommandInfo, EventInfo, UpcastInfo};

/// Makes the JSON Schema of a payload, if its type offers one.
pub type Schema = Option<fn() -> Value>;

/// What an event says, whose payload has this schema. `upcasts` are the older versions with the functions
/// that begin with them.
#[must_use]
pub fn about_event(name: &EventName, upcasts: &[(u32, &str)], schema: Schema) -> EventInfo {
    let upcasts = upcasts.iter().map(|(from, by)| UpcastInfo {
        from: Some(*from),
        by: (*by).to_owned(),
    });
    EventInfo {
        name: name.name.to_owned(),
        version: name.version,
        is_retired: name.version.is_none(),
        aliases: owned(name.aliases),
        upcasts: upcasts.collect(),
        tags: owned(name.tags),
        schema: schema.map(|schema| schema()),
    }
}

/// What the variant `variant` of an event enum says. The schema is that of the enum.
#[must_use]
pub fn about_variant(
    name: &EventName,
    variant: &str,
    upcasts: &[(u32, &str)],
    schema: Schema,
) -> EventInfo {
    let schema = schema.and_then(|schema| schema_of_variant(&schema(), variant));
    EventInfo {
        schema,
        ..about_event(name, upcasts, None)
    }
}

/// Adds an event that was retired by its name, and is read as what `by` makes of its first version.
pub fn add_retired(events: &mut Vec<EventInfo>, name: &'static str, by: Option<&str>) {
    let name = EventName {
        name,
        aliases: &[],
        version: None,
        tags: &[],
    };
    let first = by.map(|by| (1, by));
    events.push(about_event(&name, first.as_slice(), None));
}

/// Adds the events that `about` tells, whose type was retired, and that are read as what `by` makes of it.
pub fn add_retired_type(
    events: &mut Vec<EventInfo>,
    about: fn(&mut Vec<EventInfo>),
    by: Option<&str>,
) {
    let mut retired = Vec::new();
    about(&mut retired);
    let last = by.map(|by| UpcastInfo {
        from: None,
        by: by.to_owned(),
    });
    events.extend(retired.into_iter().map(|mut event| {
        event.version = None;
        event.is_retired = true;
        event.upcasts.extend(last.clone());
        event
    }));
}

/// What the events of `E` say.
#[must_use]
pub(crate) fn about_events<E: DomainEvent>() -> Vec<EventInfo> {
    let mut events = Vec::new();
    E::__about(&mut events);
    events
}

/// What a command says.
pub(crate) fn about_command(name: &str, schema: Schema) -> CommandInfo {
    CommandInfo {
        name: name.to_owned(),
        schema: schema.map(|schema| schema()),
    }
}

/// What several commands say.
#[must_use]
pub fn about_commands(commands: &[(&str, Schema)]) -> Vec<CommandInfo> {
    let about = |(name, schema): &(&str, Schema)| about_command(name, *schema);
    commands.iter().map(about).collect()
}

/// Events of which only the names are known.
pub(crate) fn about_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<EventInfo> {
    let about = |name: &str| EventInfo {
        name: name.to_owned(),
        version: None,
        is_retired: false,
        aliases: Vec::new(),
        upcasts: Vec::new(),
        tags: Vec::new(),
        schema: None,
    };
    names.into_iter().map(about).collect()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The part of an enum's schema that is about the content of a variant, `null` for a unit. `None` if the
/// schema is not that of an enum in serde's default form.
fn schema_of_variant(schema: &Value, variant: &str) -> Option<Value> {
    let is_unit = |one: &Value| {
        one["const"] == variant
            || one["enum"]
                .as_array()
                .is_some_and(|all| all.iter().any(|v| v == variant))
    };
    let content = |one: &Value| {
        if is_unit(one) {
            return Some(serde_json::json!({ "type": "null" }));
        }
        one["properties"].get(variant).cloned()
    };
    let mut content = match schema["oneOf"].as_array() {
        Some(variants) => variants.iter().find_map(content),
        None => content(schema),
    }?;
    // The definitions that it refers to are those of the enum.
    let definitions = schema.get("$defs").cloned();
    if let (Some(content), Some(definitions)) = (content.as_object_mut(), definitions) {
        content.entry("$defs").or_insert(definitions);
    }
    Some(content)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_schema_of_a_variant_is_taken_out_of_that_of_its_enum() {
        let schema = json!({
            "oneOf": [
                { "type": "string", "enum": ["Locked", "Unlocked"] },
                { "type": "string", "const": "Closed" },
                { "type": "object", "properties": { "Opened": { "$ref": "#/$defs/By" } } },
            ],
            "$defs": { "By": { "type": "string" } },
        });
        let of = |variant| schema_of_variant(&schema, variant);
        for unit in ["Locked", "Unlocked", "Closed"] {
            assert_eq!(of(unit).unwrap()["type"], "null", "{unit}");
        }
        let opened = json!({ "$ref": "#/$defs/By", "$defs": { "By": { "type": "string" } } });
        assert_eq!(of("Opened"), Some(opened));
        assert_eq!(of("Other"), None);
        let alone = json!({ "type": "object", "properties": { "Opened": { "type": "null" } } });
        assert_eq!(
            schema_of_variant(&alone, "Opened"),
            Some(json!({ "type": "null" }))
        );
        assert_eq!(schema_of_variant(&json!(true), "Opened"), None);
    }
}
