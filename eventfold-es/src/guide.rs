//! The guide: a page for each subject. There is nothing to call here.
//!
//! New to event sourcing, or to this crate? Begin with the [tutorial]. Pages of features that a program does not turn on
//! are [on docs.rs](https://docs.rs/eventfold-es/latest/eventfold_es/guide/).
//!
//! | you want to | page |
//! |---|---|
//! | **learn** | |
//! | write a first program, in six steps | [tutorial] |
//! | look a word up | [glossary] |
//! | find a short answer | [questions] |
//! | come from cqrs-es, Marten, SQLite or 0.2.0 | [coming_from] |
//! | **design** | |
//! | decide what belongs into an aggregate, and name events | [designing_aggregates] |
//! | keep a rule over several aggregates, make something unique | [rules_across_aggregates] |
//! | let one thing lead to another, with deadlines and compensation | [process_managers] |
//! | list, search, count, feed something outside | [read_models] |
//! | serve it over HTTP | [http](http/index.html) |
//! | handle data of people, and erase it | [personal_data](personal_data/index.html) |
//! | **change** | |
//! | test rules, workflows, stored events | [testing_a_domain] |
//! | change an event that is stored | [changing_events] |
//! | see in a review what a change means | [what_the_types_say] |
//! | end, archive and keep data for years | [long_lived_data] |
//! | **run** | |
//! | prepare for production: disk, size, containers, upgrades | [in_production] |
//! | back up, restore, keep a warm copy | [backups] |
//! | know what to do when something fails | [when_something_fails] |
//! | have metrics, alerts, health, traces | [watching_a_store] |
//! | read logs | [spans_and_events] |
//! | look inside, in a shell | [looking_inside] |
//! | look inside, in the browser | [console](console/index.html) |
//! | read the files | [files] |
//! | **grow** | |
//! | know when one machine is not enough | [beyond_one_machine] |
//! | keep a store in PostgreSQL | [on_postgres](on_postgres/index.html) |
//! | let several processes share it | [several_processes](several_processes/index.html) |
//! | move events in and out | [moving] |

#[doc = include_str!("guide/backups.md")]
#[doc(alias(
    "backup",
    "restore",
    "point in time recovery",
    "replica",
    "disaster recovery"
))]
pub mod backups {}

#[doc = include_str!("guide/beyond_one_machine.md")]
#[doc(alias(
    "scaling",
    "sharding",
    "replication",
    "failover",
    "high availability",
    "distributed"
))]
pub mod beyond_one_machine {}

#[doc = include_str!("guide/changing_events.md")]
#[doc(alias(
    "migration",
    "schema evolution",
    "schema migration",
    "upcast",
    "upcaster",
    "upcasting",
    "event versioning",
    "rolling back"
))]
pub mod changing_events {}

#[doc = include_str!("guide/coming_from.md")]
#[doc(alias(
    "cqrs-es",
    "marten",
    "wolverine",
    "sqlite",
    "0.2.0",
    "upgrade",
    "migrate",
    "compare",
    "alternatives"
))]
pub mod coming_from {}

#[cfg(feature = "console")]
#[doc = include_str!("guide/console.md")]
#[doc(alias("dashboard", "admin", "web ui", "time travel"))]
pub mod console {}

#[doc = include_str!("guide/designing_aggregates.md")]
#[doc(alias(
    "boundaries",
    "bounded context",
    "consistency",
    "aggregate size",
    "granularity",
    "naming",
    "uuid",
    "modelling",
    "event storming",
    "ddd",
    "multi-tenant",
    "tenant"
))]
pub mod designing_aggregates {}

#[doc = include_str!("guide/files.md")]
#[doc(alias("directory", "layout", "format", "jsonl", "jq", "file format"))]
pub mod files {}

#[doc = include_str!("guide/glossary.md")]
#[doc(alias("terms", "terminology", "words", "vocabulary"))]
pub mod glossary {}

#[doc = include_str!("guide/in_production.md")]
#[doc(alias(
    "production",
    "deployment",
    "docker",
    "kubernetes",
    "container",
    "sigterm",
    "graceful shutdown",
    "durability",
    "fsync",
    "nfs",
    "windows",
    "sizing",
    "capacity",
    "performance",
    "throughput",
    "rolling update",
    "checklist"
))]
#[expect(clippy::doc_markdown, reason = "names of products")]
pub mod in_production {}

#[cfg(feature = "axum")]
#[doc = include_str!("guide/http.md")]
#[doc(alias(
    "axum",
    "rest",
    "etag",
    "if-match",
    "idempotency key",
    "sse",
    "web service"
))]
pub mod http {}

#[doc = include_str!("guide/long_lived_data.md")]
#[doc(alias(
    "tombstone",
    "archive",
    "delete",
    "soft delete",
    "compression",
    "cold storage",
    "retention"
))]
pub mod long_lived_data {}

#[doc = include_str!("guide/looking_inside.md")]
#[doc(alias("cli", "command line", "inspect", "admin", "tail"))]
pub mod looking_inside {}

#[doc = include_str!("guide/moving.md")]
#[doc(alias(
    "export",
    "import",
    "dump",
    "cloudevents",
    "eventstoredb",
    "kurrentdb",
    "marten"
))]
#[expect(clippy::doc_markdown, reason = "names of products")]
pub mod moving {}

#[cfg(feature = "postgres")]
#[doc = include_str!("guide/on_postgres.md")]
#[doc(alias("database", "postgresql", "sql", "server"))]
pub mod on_postgres {}

#[cfg(feature = "personal")]
#[doc = include_str!("guide/personal_data.md")]
#[doc(alias(
    "gdpr",
    "pii",
    "erase",
    "forget",
    "crypto-shredding",
    "encryption",
    "right to be forgotten"
))]
pub mod personal_data {}

#[doc = include_str!("guide/process_managers.md")]
#[doc(alias(
    "saga",
    "workflow",
    "compensation",
    "deadline",
    "timer",
    "timeout",
    "schedule",
    "reminder",
    "outbox",
    "dead letter",
    "orchestration"
))]
pub mod process_managers {}

#[doc = include_str!("guide/questions.md")]
#[doc(alias(
    "faq",
    "how to",
    "help",
    "idempotency",
    "exactly once",
    "at least once",
    "ordering",
    "replay",
    "snapshot",
    "optimistic locking",
    "validation",
    "authorization",
    "axum",
    "websocket"
))]
#[expect(clippy::doc_markdown, reason = "names of products")]
pub mod questions {}

#[doc = include_str!("guide/read_models.md")]
#[doc(alias(
    "view",
    "materialized view",
    "query model",
    "sqlite",
    "sql",
    "search index",
    "message broker",
    "pagination",
    "subscription"
))]
pub mod read_models {}

#[doc = include_str!("guide/rules_across_aggregates.md")]
#[doc(alias(
    "unique",
    "uniqueness",
    "constraint",
    "transaction",
    "transfer",
    "unit of work",
    "invariant",
    "dcb",
    "dynamic consistency boundary",
    "duplicate",
    "foreign key"
))]
pub mod rules_across_aggregates {}

#[cfg(feature = "postgres")]
#[doc = include_str!("guide/several_processes.md")]
#[doc(alias(
    "cluster",
    "replicas",
    "failover",
    "high availability",
    "horizontal scaling"
))]
pub mod several_processes {}

#[doc = include_str!("guide/spans_and_events.md")]
#[doc(alias("tracing", "observability", "logging", "opentelemetry"))]
pub mod spans_and_events {}

#[doc = include_str!("guide/testing_a_domain.md")]
#[doc(alias(
    "test",
    "given when then",
    "property test",
    "golden",
    "mock",
    "fake clock",
    "time travel"
))]
pub mod testing_a_domain {}

#[doc = include_str!("guide/tutorial.md")]
#[doc(alias(
    "getting started",
    "quick start",
    "introduction",
    "example",
    "first steps",
    "event sourcing"
))]
#[expect(
    clippy::test_attr_in_doctest,
    reason = "the program of the tutorial runs them"
)]
pub mod tutorial {}

#[doc = include_str!("guide/watching_a_store.md")]
#[doc(alias(
    "metrics",
    "monitoring",
    "prometheus",
    "health check",
    "readiness",
    "alerts",
    "opentelemetry",
    "distributed tracing"
))]
pub mod watching_a_store {}

#[doc = include_str!("guide/what_the_types_say.md")]
#[doc(alias("event catalog", "documentation", "diagram", "mermaid", "json schema"))]
pub mod what_the_types_say {}

#[doc = include_str!("guide/when_something_fails.md")]
#[doc(alias(
    "error",
    "errors",
    "corruption",
    "damaged",
    "disk full",
    "repair",
    "troubleshooting",
    "recovery"
))]
pub mod when_something_fails {}
