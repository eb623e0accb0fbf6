//! What the console answers over HTTP.
//!
//! `cargo test --test http`, in the directory of this package

mod dropped;
mod hostile;
mod large;
mod live;
mod mounted;
#[cfg(unix)]
mod on_postgres;
mod pages;
mod refused;
#[cfg(unix)]
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../../../integration/support/postgres.rs"]
mod server;
mod states;
mod writing;

/// Every page, for a store with the account `a` and the process manager `savings`.
const PAGES: [&str; 13] = [
    "/",
    "/overview",
    "/aggregates",
    "/aggregate",
    "/aggregate?type=account&id=a",
    "/log",
    "/event?position=1",
    "/read-side",
    "/follower?name=balances",
    "/follower?name=savings",
    "/dead-letters",
    "/dead-letters?of=savings",
    "/model",
];
