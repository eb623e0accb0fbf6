//! Longer pages on single subjects. There is nothing to call here.

#[doc = include_str!("guide/backups.md")]
#[doc(alias(
    "backup",
    "restore",
    "point in time recovery",
    "replica",
    "disaster recovery"
))]
pub mod backups {}

#[doc = include_str!("guide/changing_events.md")]
#[doc(alias(
    "migration",
    "schema evolution",
    "upcaster",
    "upcasting",
    "event versioning"
))]
pub mod changing_events {}

#[cfg(feature = "console")]
#[doc = include_str!("guide/console.md")]
#[doc(alias("dashboard", "admin", "web ui", "time travel"))]
pub mod console {}

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
#[doc = include_str!("guide/read_models.md")]
#[doc(alias(
    "view",
    "materialized view",
    "query model",
    "sqlite",
    "sql",
    "search index",
    "message broker"
))]
pub mod read_models {}

#[doc = include_str!("guide/rules_across_aggregates.md")]
pub mod rules_across_aggregates {}

#[doc = include_str!("guide/spans_and_events.md")]
#[doc(alias("tracing", "observability", "logging", "opentelemetry"))]
pub mod spans_and_events {}

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
