//! Read models in SQLite.

mod failures;
mod following;
mod forgetting;
#[cfg(unix)]
mod full_disk;
mod kill;
mod looking;
mod places;
mod rebuilding;
mod schemas;
mod shell;
mod shop;
mod versions;
