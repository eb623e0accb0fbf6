//! What the public interface promises, one module a subject.

mod bad_input;
mod closing;
mod commands;
mod compat;
mod concurrency;
mod conditions;
mod damage;
mod dead_letters;
mod derive;
#[cfg(unix)]
mod directory;
mod disk;
mod golden;
mod kill;
mod limits;
mod live;
mod lost_streams;
mod many_aggregates;
mod model;
mod passing_over;
mod process_managers;
mod projection_versions;
mod projections;
mod reading;
mod reading_back;
mod recovery;
mod reentrance;
mod snapshots;
mod stream_ids;
mod subscriptions;
mod support;
mod testing;
mod timers;
mod typed_read_side;
mod under_way;
mod versions;
