//! What the types of a program say about it: [`Model`], as data, as Markdown with a diagram, and as JSON.
//!
//! ```
//! # use eventfold_es::__private::example::{Counter, Forward, Total};
//! let model = eventfold_es::model![Counter, Total, Forward];
//! assert_eq!(model.aggregates[0].name, "counter");
//! assert_eq!(model.projections[0].aggregates, ["counter"]);
//! assert!(model.markdown().contains("## Aggregate `counter`"));
//! ```
//!
//! [What the types say](crate::guide::what_the_types_say) shows what it is good for.

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

mod diagram;
mod markdown;

/// The form of the JSON. It changes only if a reader of an earlier form could misread the new one.
const FORM: u32 = 1;

/// The aggregates, decisions, projections and process managers of a program, and their events and
/// commands. [`model!`](crate::model!) makes it of types, and
/// [`AggregateStore::model`](crate::AggregateStore::model) of what is registered with a store.
///
/// Everything is in an order that depends on the types alone: by name, and the commands and events of an
/// aggregate as it lists them.
///
/// # As JSON
///
/// [`json`](Self::json) writes it, and serde does. The members are those of the structs of this module,
/// under the same names. Further members may come. `form` is 1: it changes only if a member changes its
/// meaning.
///
/// ```
/// # use eventfold_es::__private::example::Total;
/// let model = eventfold_es::model![Total];
/// let json: serde_json::Value = serde_json::from_str(&model.json())?;
/// assert_eq!(json["form"], 1);
/// assert_eq!(json["projections"][0]["name"], "total");
/// assert_eq!(json["projections"][0]["aggregates"][0], "counter");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Model {
    /// The aggregates, by name.
    pub aggregates: Vec<AggregateInfo>,
    /// The events that decisions store and that projections and process managers read by
    /// `events(...)`, by name. They belong to no aggregate.
    pub events: Vec<EventInfo>,
    /// The decisions, by name.
    pub decisions: Vec<DecisionInfo>,
    /// The projections, by name.
    pub projections: Vec<ProjectionInfo>,
    /// The process managers, by name.
    pub process_managers: Vec<ProcessManagerInfo>,
}

/// An aggregate. See the example of [`model`](mod@crate::model).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AggregateInfo {
    /// Its [`AGGREGATE_TYPE`](crate::Aggregate::AGGREGATE_TYPE).
    pub name: String,
    /// Its [`STATE_VERSION`](crate::Aggregate::STATE_VERSION).
    pub state_version: u32,
    /// Its [`SNAPSHOT_EVERY`](crate::Aggregate::SNAPSHOT_EVERY); `None` if the store decides.
    pub snapshot_every: Option<u64>,
    /// Whether events with unknown names are left out. Otherwise they are refused.
    pub skips_unknown_events: bool,
    /// Its commands, as it lists them. `None` if it has a command type of its own, which does not tell
    /// them.
    pub commands: Option<Vec<CommandInfo>>,
    /// Its events, as it lists them; retired ones come last. `None` if it is implemented by hand and its
    /// event type does not tell them.
    pub events: Option<Vec<EventInfo>>,
}

/// A command. See the example of [`model`](mod@crate::model).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CommandInfo {
    /// The name under which it is serialised.
    pub name: String,
    /// The JSON Schema of its payload, if the type offers one: see [`EventInfo::schema`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// An event. See the example of [`model`](mod@crate::model).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EventInfo {
    /// The name under which it is stored.
    pub name: String,
    /// The version of its payload that is written. `None` if it is retired, or if its type does not tell
    /// versions.
    pub version: Option<u32>,
    /// Whether it is read and not written any more.
    pub is_retired: bool,
    /// The older names that are read too.
    pub aliases: Vec<String>,
    /// The functions that make the current form of an older one, in their order.
    pub upcasts: Vec<UpcastInfo>,
    /// The names of the tags that it may have.
    pub tags: Vec<String>,
    /// The JSON Schema of its payload, if the type implements `JsonSchema` of `schemars` and the cargo
    /// feature `schema` is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// A step from an older form of an event to a newer one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UpcastInfo {
    /// The version that it begins with. `None` for the last step of an event that was retired by its
    /// type, which begins with the type.
    pub from: Option<u32>,
    /// The function, as it is written in the attribute.
    pub by: String,
}

/// A decision. See [`Decider`](crate::Decider).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DecisionInfo {
    /// Its [`NAME`](crate::Decider::NAME).
    pub name: String,
    /// Its command.
    pub command: CommandInfo,
    /// The names of the events that it may store.
    pub events: Vec<String>,
    /// What it is decided on, in the order of its fields.
    pub models: Vec<DecisionModelInfo>,
}

/// A model that a decision is made on. See [`DecisionModel`](crate::DecisionModel).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DecisionModelInfo {
    /// The field of the decision.
    pub field: String,
    /// The aggregate whose events it has, if it is a model of one aggregate.
    pub aggregate: Option<String>,
    /// The names of the tags by which its events are found. Empty if it has an aggregate, or all events
    /// of these names.
    pub tags: Vec<String>,
    /// The names of its events.
    pub events: Vec<String>,
}

/// A projection. See the example of [`model`](mod@crate::model).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProjectionInfo {
    /// Its [`NAME`](crate::Projection::NAME).
    pub name: String,
    /// Its [`VERSION`](crate::Projection::VERSION).
    pub version: u32,
    /// The types of the aggregates whose events it gets.
    pub aggregates: Vec<String>,
    /// The names of the events of no aggregate that it gets.
    pub events: Vec<String>,
    /// Whether it gets all events of no aggregate, because it is implemented by hand.
    pub gets_all_other_events: bool,
}

/// A process manager. See the example of [`model`](mod@crate::model).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProcessManagerInfo {
    /// Its [`NAME`](crate::ProcessManager::NAME).
    pub name: String,
    /// The types of the aggregates whose events it gets.
    pub aggregates: Vec<String>,
    /// The names of the events of no aggregate that it gets.
    pub events: Vec<String>,
    /// Whether it gets all events of no aggregate, because it is implemented by hand.
    pub gets_all_other_events: bool,
    /// The aggregates that it may send commands to, by `dispatches(...)`. Which commands is known to
    /// its code alone.
    pub dispatches: Vec<String>,
    /// The decisions that it may send commands to, by `decides(...)`.
    pub decides: Vec<String>,
}

impl Model {
    /// The model with everything that `other` has besides. What both have is in it once.
    ///
    /// ```
    /// # use eventfold_es::{AggregateStore, model, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = AggregateStore::in_memory().projection::<Total>().open().await?;
    /// let model = store.model().and(model![Counter]);
    /// assert_eq!(model, model![Total, Counter]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let Self {
            aggregates,
            events,
            decisions,
            projections,
            process_managers,
        } = other;
        for aggregate in aggregates {
            self.add_aggregate(aggregate);
        }
        self.add_events(events);
        for decision in decisions {
            self.add_decision(decision);
        }
        for projection in projections {
            self.add_projection(projection);
        }
        for manager in process_managers {
            self.add_process_manager(manager);
        }
        self
    }

    /// The model in JSON, on several lines.
    ///
    /// See the example of [`Model`].
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it never panics")]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("it consists of texts, numbers and JSON") + "\n"
    }

    pub(crate) fn add_aggregate(&mut self, aggregate: AggregateInfo) {
        insert(&mut self.aggregates, aggregate, |aggregate| &aggregate.name);
    }

    pub(crate) fn add_events(&mut self, events: impl IntoIterator<Item = EventInfo>) {
        for event in events {
            insert(&mut self.events, event, |event| &event.name);
        }
    }

    pub(crate) fn add_decision(&mut self, decision: DecisionInfo) {
        insert(&mut self.decisions, decision, |decision| &decision.name);
    }

    pub(crate) fn add_projection(&mut self, projection: ProjectionInfo) {
        insert(&mut self.projections, projection, |projection| {
            &projection.name
        });
    }

    pub(crate) fn add_process_manager(&mut self, manager: ProcessManagerInfo) {
        insert(&mut self.process_managers, manager, |manager| &manager.name);
    }
}

/// Inserts `item` behind those of the same name, unless the list has an equal one.
fn insert<T: PartialEq>(items: &mut Vec<T>, item: T, name: impl Fn(&T) -> &String) {
    if items.contains(&item) {
        return;
    }
    let place = items.partition_point(|other| name(other) <= name(&item));
    items.insert(place, item);
}

impl Serialize for Model {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut model = serializer.serialize_struct("Model", 6)?;
        model.serialize_field("form", &FORM)?;
        model.serialize_field("aggregates", &self.aggregates)?;
        model.serialize_field("events", &self.events)?;
        model.serialize_field("decisions", &self.decisions)?;
        model.serialize_field("projections", &self.projections)?;
        model.serialize_field("process_managers", &self.process_managers)?;
        model.end()
    }
}

/// Makes a [`Model`](crate::model::Model) of aggregates, decisions, projections and process managers, in
/// any order, without a store. A type that is none of these does not compile.
///
/// The aggregates that a projection or a process manager lists are in it as well, and so are the
/// decisions that a process manager sends commands to.
///
/// ```
/// # eventfold_es::__courses!();
/// # use eventfold_es::__private::example::{Counter, Forward};
/// use eventfold_es::model;
///
/// let model = model![Counter, Forward, Subscribing];
/// assert_eq!(model.decisions[0].command.name, "Subscribe");
/// let names: Vec<_> = model.events.iter().map(|event| &event.name).collect();
/// assert_eq!(names, ["Subscribed"]);
/// ```
///
/// ```compile_fail
/// let model = eventfold_es::model![String]; // not an aggregate
/// ```
#[macro_export]
macro_rules! model {
    () => { $crate::model::Model::default() };
    ($($type:ty),+ $(,)?) => {{
        use $crate::__private::NotInModel as _;
        let mut model = $crate::model::Model::default();
        $(
            const {
                assert!(
                    $crate::__private::InModel::<$type>::__IS_AGGREGATE
                        || $crate::__private::InModel::<$type>::__IS_DECISION
                        || $crate::__private::InModel::<$type>::__IS_PROJECTION
                        || $crate::__private::InModel::<$type>::__IS_PROCESS_MANAGER,
                    concat!(
                        "`", stringify!($type), "` is not an aggregate, a decision, a projection or \
                        a process manager"
                    ),
                );
            }
            $crate::__private::InModel::<$type>::__aggregate(&mut model);
            $crate::__private::InModel::<$type>::__decision(&mut model);
            $crate::__private::InModel::<$type>::__projection(&mut model);
            $crate::__private::InModel::<$type>::__process_manager(&mut model);
        )+
        model
    }};
}
