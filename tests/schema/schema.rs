//! The JSON Schema of payloads in a model, for types that offer one.

use eventfold_es::model::{CommandInfo, EventInfo};
use eventfold_es::{Query, QueryItem, model, prelude::*};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open, Close), events(Opened, Closed, Noted))]
struct Door {
    is_open: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Open {
    /// Who opens it.
    by: String,
}

/// Offers no schema.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Close;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[serde(rename_all = "camelCase")]
struct Opened {
    opened_by: String,
    #[serde(default)]
    hinges: Option<Vec<Hinge>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Hinge {
    turns: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Closed;

/// Two events of one type.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
enum Noted {
    #[event(name = "knock")]
    Knocked,
    #[event(name = "repair")]
    Repaired {
        hinge: Hinge,
    },
    Painted(String),
}

#[aggregate_impl]
impl Door {
    fn open(&self, command: Open) -> Decision<Self> {
        Ok(events![Opened {
            opened_by: command.by,
            hinges: None
        }])
    }

    fn close(&self, _: Close) -> Decision<Self> {
        Ok(events![Closed])
    }

    fn opened(&mut self, _: &Opened) {
        self.is_open = true;
    }

    fn closed(&mut self, _: &Closed) {
        self.is_open = false;
    }

    fn noted(&mut self, _: &Noted) {}
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "door", events(Rung))]
struct Rings(u32);

impl Evolve<Rung> for Rings {
    fn evolve(&mut self, _: &Rung) {
        self.0 += 1;
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
struct Rung {
    #[tag]
    door: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Ring {
    door: String,
}

#[derive(Debug, Decision)]
#[decision(command = Ring, events(Rung))]
struct Ringing {
    #[model(door)]
    rings: Rings,
}

impl Decide<Ring> for Ringing {
    fn decide(&self, command: Ring) -> Decision<Self> {
        match self.rings.0 {
            0 => Ok(vec![Rung { door: command.door }.into()]),
            _ => Ok(Vec::new()),
        }
    }
}

fn schema(schema: Option<&Value>) -> &Value {
    schema.expect("the type offers one")
}

#[test]
fn commands_and_events_have_the_schema_that_their_types_offer_and_others_have_none() {
    let model = model![Door];
    let door = &model.aggregates[0];
    let commands = door.commands.as_ref().unwrap();
    let of_command = |name: &str| -> &CommandInfo {
        commands
            .iter()
            .find(|command| command.name == name)
            .unwrap()
    };
    let open = schema(of_command("Open").schema.as_ref());
    assert_eq!(open["properties"]["by"]["type"], "string");
    assert_eq!(open["properties"]["by"]["description"], "Who opens it.");
    assert_eq!(of_command("Close").schema, None);

    let events = door.events.as_ref().unwrap();
    let of_event =
        |name: &str| -> &EventInfo { events.iter().find(|event| event.name == name).unwrap() };
    let opened = schema(of_event("Opened").schema.as_ref());
    assert_eq!(opened["properties"]["openedBy"]["type"], "string");
    assert_eq!(
        opened["$defs"]["Hinge"]["properties"]["turns"]["type"],
        "integer"
    );
    assert_eq!(of_event("Closed").schema, None);
}

#[test]
fn each_variant_of_an_event_enum_has_the_schema_of_its_content() {
    let model = model![Door];
    let events = model.aggregates[0].events.as_ref().unwrap();
    let of = |name: &str| {
        let event = events.iter().find(|event| event.name == name).unwrap();
        schema(event.schema.as_ref())
    };
    assert_eq!(of("knock")["type"], "null");
    assert_eq!(of("Painted")["type"], "string");
    let repaired = of("repair");
    assert_eq!(repaired["properties"]["hinge"]["$ref"], "#/$defs/Hinge");
    assert_eq!(repaired["$defs"]["Hinge"]["type"], "object");
}

#[test]
fn the_command_and_the_events_of_a_decision_have_their_schemas() {
    let model = model![Ringing];
    let command = schema(model.decisions[0].command.schema.as_ref());
    assert_eq!(command["properties"]["door"]["type"], "string");
    let event = schema(model.events[0].schema.as_ref());
    assert_eq!(event["properties"]["door"]["type"], "string");
    // The boundary is what it was.
    let query = Ringing::query(&Ring { door: "d-1".into() }).unwrap();
    let rings = QueryItem::of_type("Rung").with_tag(eventfold_es::Tag::new("door", "d-1").unwrap());
    assert_eq!(query, Query::of(rings));
}

#[test]
fn schemas_are_in_the_json_and_in_the_markdown() {
    let model = model![Door];
    let json: Value = serde_json::from_str(&model.json()).unwrap();
    let commands = &json["aggregates"][0]["commands"];
    assert_eq!(commands[0]["schema"]["type"], "object");
    assert!(commands[1].get("schema").is_none());
    let markdown = model.markdown();
    assert!(
        markdown.contains("Payload of `Opened`:\n\n```json\n"),
        "{markdown}"
    );
}
