//! The keys of `#[aggregate(...)]`, `#[aggregate_impl(...)]`, `#[event(...)]`, `#[projection(...)]`,
//! `#[process_manager(...)]`, `#[decision(...)]` and `#[decision_model(...)]`, with their formats and
//! their places.
//!
//! For a new key, add a line here, and a question in [`ast`](crate::ast) that reads it.

/// One key of an attribute.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    /// The correct format, for the error about a wrong one.
    pub(crate) example: &'static str,
    pub(crate) places: &'static [Place],
    /// Whether it may be given several times.
    pub(crate) repeatable: bool,
    /// The advice for a key in the wrong place of the same attribute.
    pub(crate) elsewhere: &'static str,
    /// What an empty list lacks, for the error about it.
    pub(crate) empty: &'static str,
    /// Its names in other frameworks, and the words under which users look for it.
    pub(crate) habits: &'static [&'static str],
}

/// The text after a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// `= "text"`
    Text,
    /// `("text", "text")`
    Texts,
    /// `= 100`
    Count,
    /// `= path::Type<T>`
    Type,
    /// `= ::path::to::module`
    Path,
    /// `= Name`
    Ident,
    /// `(A, path::B, C = "wire-name")`
    Commands,
    /// `(A, path::B)`
    Events,
    /// `(A, path::B)`
    Aggregates,
    /// `(Debug, Clone)`
    Derives,
    /// `(1 = path, 2 = path)`
    Steps,
    /// `("OldName", "OtherName" = path, path::Type = path)`
    Retired,
    /// `(key = value, ..)`, a place with its own keys
    Keys(&'static Table, Place),
}

/// The place of an attribute, or the parentheses of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Aggregate,
    AggregateImpl,
    GeneratedEnum,
    Snapshot,
    EventStruct,
    EventEnum,
    EventVariant,
    Projection,
    ProcessManager,
    Decision,
    DecisionModel,
}

impl Place {
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Aggregate => "on an aggregate",
            Self::AggregateImpl => "on an impl block",
            Self::GeneratedEnum => "among the options of a generated enum",
            Self::Snapshot => "in `snapshot(...)`",
            Self::EventStruct => "on an event struct",
            Self::EventEnum => "on an event enum",
            Self::EventVariant => "on a variant of an event enum",
            Self::Projection => "on a projection",
            Self::ProcessManager => "on a process manager",
            Self::Decision => "on a decision",
            Self::DecisionModel => "on a decision model",
        }
    }
}

/// The keys that are allowed in one attribute.
#[derive(Debug)]
pub(crate) struct Table {
    /// The place of the attribute, for users who look for its keys in the other one.
    pub(crate) home: &'static str,
    pub(crate) keys: &'static [Key],
}

impl Table {
    pub(crate) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(crate) fn valid_in(&self, place: Place) -> impl Iterator<Item = &'static Key> + Clone {
        self.keys
            .iter()
            .filter(move |key| key.places.contains(&place))
    }
}

/// The form of most keys, for the tables below.
const KEY: Key = Key {
    name: "",
    form: Form::Text,
    example: "",
    places: &[],
    repeatable: false,
    elsewhere: "",
    empty: "",
    habits: &[],
};

const AGGREGATE_KEY: Key = Key {
    places: &[Place::Aggregate],
    ..KEY
};

pub(crate) static AGGREGATE: Table = Table {
    home: "`#[aggregate(...)]` on the state of an aggregate",
    keys: &[
        Key {
            name: "name",
            example: "name = \"bank-account\"",
            habits: &["rename", "id", "type", "aggregate_type", "stream"],
            ..AGGREGATE_KEY
        },
        Key {
            name: "commands",
            form: Form::Commands,
            example: "commands(OpenAccount, Deposit)",
            ..AGGREGATE_KEY
        },
        Key {
            name: "events",
            form: Form::Events,
            example: "events(AccountOpened, Deposited)",
            empty: ", but a state is made of events",
            ..AGGREGATE_KEY
        },
        Key {
            name: "command",
            form: Form::Type,
            example: "command = BankCommand",
            ..AGGREGATE_KEY
        },
        Key {
            name: "event",
            form: Form::Type,
            example: "event = BankEvent",
            ..AGGREGATE_KEY
        },
        Key {
            name: "error",
            form: Form::Type,
            example: "error = BankError",
            ..AGGREGATE_KEY
        },
        Key {
            name: "command_enum",
            form: Form::Keys(&GENERATED_ENUM, Place::GeneratedEnum),
            example: "command_enum(name = BankCommand, derive(Debug, Clone))",
            ..AGGREGATE_KEY
        },
        Key {
            name: "event_enum",
            form: Form::Keys(&GENERATED_ENUM, Place::GeneratedEnum),
            example: "event_enum(name = BankEvent, derive(Debug, Clone))",
            ..AGGREGATE_KEY
        },
        Key {
            name: "snapshot",
            form: Form::Keys(&SNAPSHOT, Place::Snapshot),
            example: "snapshot(every = 100, version = 2)",
            habits: &["every", "snapshot_every", "version"],
            ..AGGREGATE_KEY
        },
        Key {
            name: "retired",
            form: Form::Retired,
            example: RETIRED,
            habits: &["removed", "deleted", "split"],
            ..AGGREGATE_KEY
        },
        Key {
            name: "unknown_events",
            example: "unknown_events = \"skip\"",
            ..AGGREGATE_KEY
        },
        Key {
            name: "crate",
            form: Form::Path,
            example: "crate = ::eventfold_es",
            ..AGGREGATE_KEY
        },
    ],
};

pub(crate) static AGGREGATE_IMPL: Table = Table {
    home: "`#[aggregate_impl(...)]` on an impl block",
    keys: &[Key {
        name: "crate",
        form: Form::Path,
        example: "crate = ::eventfold_es",
        places: &[Place::AggregateImpl],
        ..KEY
    }],
};

static GENERATED_ENUM: Table = Table {
    home: "`command_enum(...)` or `event_enum(...)`",
    keys: &[
        Key {
            name: "name",
            form: Form::Ident,
            example: "name = BankCommand",
            places: &[Place::GeneratedEnum],
            ..KEY
        },
        Key {
            name: "derive",
            form: Form::Derives,
            example: "derive(Debug, Clone)",
            places: &[Place::GeneratedEnum],
            habits: &["derives"],
            ..KEY
        },
    ],
};

static SNAPSHOT: Table = Table {
    home: "`snapshot(...)`",
    keys: &[
        Key {
            name: "every",
            form: Form::Count,
            example: "every = 100",
            places: &[Place::Snapshot],
            ..KEY
        },
        Key {
            name: "version",
            form: Form::Count,
            example: "version = 2",
            places: &[Place::Snapshot],
            ..KEY
        },
    ],
};

const RETIRED: &str = "retired(\"Suspended\", \"OpenedWithDeposit\" = split_opened)";

pub(crate) static EVENT: Table = Table {
    home: "`#[event(...)]` on an event",
    keys: &[
        Key {
            name: "name",
            example: "name = \"MoneyDeposited\"",
            places: &[Place::EventStruct, Place::EventVariant],
            elsewhere: "each variant has a stored name of its own, put `#[event(name = \"...\")]` on the variants",
            habits: &["rename"],
            ..KEY
        },
        Key {
            name: "alias",
            example: "alias = \"Deposited\"",
            places: &[Place::EventStruct, Place::EventVariant],
            repeatable: true,
            elsewhere: "each variant has old names of its own, put `#[event(alias = \"...\")]` on the variants",
            habits: &["aliases"],
            ..KEY
        },
        Key {
            name: "version",
            form: Form::Count,
            example: "version = 2",
            places: &[Place::EventStruct, Place::EventVariant],
            elsewhere: "each variant has versions of its own, put `#[event(version = ...)]` on the variants",
            habits: &["schema_version", "revision"],
            ..KEY
        },
        Key {
            name: "upcast",
            form: Form::Steps,
            example: "upcast(1 = v1_to_v2, 2 = v2_to_v3)",
            places: &[Place::EventStruct, Place::EventVariant],
            elsewhere: "each variant has versions of its own, put `#[event(upcast(...))]` on the variants",
            habits: &["upcasts", "upcaster", "upcasters", "migrate"],
            ..KEY
        },
        Key {
            name: "retired",
            form: Form::Retired,
            example: RETIRED,
            places: &[Place::EventEnum],
            elsewhere: "it belongs to a set of events: put `#[event(retired(...))]` on the enum, or `#[aggregate(retired(...))]` on the aggregate",
            habits: &["removed", "deleted", "split"],
            ..KEY
        },
        Key {
            name: "rename_all",
            example: "rename_all = \"kebab-case\"",
            places: &[Place::EventEnum],
            elsewhere: "it renames the variants of an enum, here write `name = \"...\"`",
            ..KEY
        },
        Key {
            name: "crate",
            form: Form::Path,
            example: "crate = ::eventfold_es",
            places: &[Place::EventStruct, Place::EventEnum],
            elsewhere: "write it once, in the `#[event(...)]` of the enum",
            ..KEY
        },
    ],
};

const PROJECTION_KEY: Key = Key {
    places: &[Place::Projection],
    ..KEY
};

pub(crate) static PROJECTION: Table = Table {
    home: "`#[projection(...)]` on a projection",
    keys: &[
        Key {
            name: "aggregates",
            form: Form::Aggregates,
            example: "aggregates(BankAccount, Loan)",
            habits: &["subscriptions", "subscribes", "of", "from", "types"],
            ..PROJECTION_KEY
        },
        Key {
            name: "events",
            form: Form::Events,
            example: "events(Subscribed)",
            habits: &["decisions", "event"],
            ..PROJECTION_KEY
        },
        Key {
            name: "name",
            example: "name = \"totals\"",
            habits: &["rename", "id"],
            ..PROJECTION_KEY
        },
        Key {
            name: "version",
            form: Form::Count,
            example: "version = 2",
            habits: &["revision"],
            ..PROJECTION_KEY
        },
        Key {
            name: "crate",
            form: Form::Path,
            example: "crate = ::eventfold_es",
            ..PROJECTION_KEY
        },
    ],
};

const PROCESS_MANAGER_KEY: Key = Key {
    places: &[Place::ProcessManager],
    ..KEY
};

pub(crate) static PROCESS_MANAGER: Table = Table {
    home: "`#[process_manager(...)]` on a process manager",
    keys: &[
        Key {
            name: "aggregates",
            form: Form::Aggregates,
            example: "aggregates(Order)",
            habits: &["subscriptions", "subscribes", "of", "from", "types"],
            ..PROCESS_MANAGER_KEY
        },
        Key {
            name: "events",
            form: Form::Events,
            example: "events(Subscribed)",
            habits: &["decisions", "event"],
            ..PROCESS_MANAGER_KEY
        },
        Key {
            name: "dispatches",
            form: Form::Aggregates,
            example: "dispatches(Inventory)",
            habits: &["commands", "targets", "sends", "to"],
            ..PROCESS_MANAGER_KEY
        },
        Key {
            name: "decides",
            form: Form::Aggregates,
            example: "decides(Subscribing)",
            habits: &["decisions", "deciders"],
            ..PROCESS_MANAGER_KEY
        },
        Key {
            name: "on_dead_letter",
            form: Form::Path,
            example: "on_dead_letter = Self::not_sent",
            habits: &["on_failure", "on_error", "compensate", "dead_letters"],
            ..PROCESS_MANAGER_KEY
        },
        Key {
            name: "name",
            example: "name = \"fulfilment\"",
            habits: &["rename", "id"],
            ..PROCESS_MANAGER_KEY
        },
        Key {
            name: "version",
            form: Form::Count,
            example: "",
            places: &[],
            elsewhere: "it is never run again over old events, because that would send its \
                        commands again; remove it",
            ..KEY
        },
        Key {
            name: "crate",
            form: Form::Path,
            example: "crate = ::eventfold_es",
            ..PROCESS_MANAGER_KEY
        },
    ],
};

const DECISION_KEY: Key = Key {
    places: &[Place::Decision],
    ..KEY
};

pub(crate) static DECISION: Table = Table {
    home: "`#[decision(...)]` on a decision",
    keys: &[
        Key {
            name: "command",
            form: Form::Type,
            example: "command = Subscribe",
            habits: &["of", "on", "decides"],
            ..DECISION_KEY
        },
        Key {
            name: "events",
            form: Form::Events,
            example: "events(Subscribed)",
            empty: ", but a decision is made to lead to events",
            ..DECISION_KEY
        },
        Key {
            name: "event",
            form: Form::Type,
            example: "event = CourseEvent",
            ..DECISION_KEY
        },
        Key {
            name: "error",
            form: Form::Type,
            example: "error = SubscribeError",
            ..DECISION_KEY
        },
        Key {
            name: "event_enum",
            form: Form::Keys(&GENERATED_ENUM, Place::GeneratedEnum),
            example: "event_enum(name = SubscribingEvent, derive(Debug, Clone))",
            ..DECISION_KEY
        },
        Key {
            name: "name",
            example: "name = \"subscribing\"",
            habits: &["rename", "id"],
            ..DECISION_KEY
        },
        Key {
            name: "crate",
            form: Form::Path,
            example: "crate = ::eventfold_es",
            ..DECISION_KEY
        },
    ],
};

const DECISION_MODEL_KEY: Key = Key {
    places: &[Place::DecisionModel],
    ..KEY
};

pub(crate) static DECISION_MODEL: Table = Table {
    home: "`#[decision_model(...)]` on a decision model",
    keys: &[
        Key {
            name: "events",
            form: Form::Events,
            example: "events(CourseDefined, Subscribed)",
            empty: ", but a model is made of events",
            ..DECISION_MODEL_KEY
        },
        Key {
            name: "tag",
            example: "tag = \"course\"",
            habits: &["by", "key"],
            ..DECISION_MODEL_KEY
        },
        Key {
            name: "tags",
            form: Form::Texts,
            example: "tags(\"course\", \"student\")",
            ..DECISION_MODEL_KEY
        },
        Key {
            name: "aggregate",
            form: Form::Type,
            example: "aggregate = Account",
            habits: &["of", "from", "stream"],
            ..DECISION_MODEL_KEY
        },
        Key {
            name: "crate",
            form: Form::Path,
            example: "crate = ::eventfold_es",
            ..DECISION_MODEL_KEY
        },
    ],
};

/// The place where the key `name` belongs, if a table has it; for a mistake in `place`, it is rather the
/// one next to it.
pub(crate) fn home_of(name: &str, place: Place) -> Option<&'static str> {
    let nearest = match place {
        Place::DecisionModel => &DECISION,
        _ => &AGGREGATE,
    };
    [
        nearest,
        &AGGREGATE,
        &EVENT,
        &GENERATED_ENUM,
        &SNAPSHOT,
        &PROJECTION,
        &PROCESS_MANAGER,
        &DECISION,
        &DECISION_MODEL,
    ]
    .into_iter()
    .find(|table| table.find(name).is_some_and(|key| !key.places.is_empty()))
    .map(|table| table.home)
}
