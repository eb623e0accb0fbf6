//! What a service on the module `http` promises its clients.
//!
//! `cargo test --test http`, in the directory of this package. The tests with `curl` and `schemathesis` say so if
//! there is none; `SCHEMATHESIS` names the program.

mod bodies;
mod cancelled;
mod client;
mod conditions;
mod curl;
mod description;
mod events;
mod keys;
mod problems;
mod reading;
mod shutdown;
