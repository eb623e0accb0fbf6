//! What the public interface promises, one module a subject.

mod bad_input;
mod commands;
mod compat;
mod concurrency;
mod damage;
mod derive;
mod disk;
mod golden;
mod kill;
mod limits;
mod many_aggregates;
mod model;
mod process_managers;
mod projection_versions;
mod projections;
mod reading;
mod recovery;
mod snapshots;
mod stream_ids;
mod subscriptions;
mod support;
mod testing;
mod typed_read_side;
mod versions;
