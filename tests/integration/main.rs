//! What the public interface promises, one module a subject.

mod bad_input;
mod closing;
mod commands;
mod compat;
mod concurrency;
mod conditions;
mod damage;
mod derive;
mod disk;
mod golden;
mod kill;
mod limits;
mod lost_streams;
mod many_aggregates;
mod model;
mod process_managers;
mod projections;
mod reading;
mod recovery;
mod snapshots;
mod stream_ids;
mod support;
