//! The history of states.

use eventfold_es::prelude::*;
use eventfold_es::testing::state_history;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fails;
use super::histories::files;
use crate::support::temp_dir;

/// A state of which a version has one shape or another.
macro_rules! state {
    ($name:ident, $version:literal, $($fields:tt)*) => {
        #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
        #[aggregate(name = "account", commands(), events(Filled), snapshot(version = $version))]
        struct $name {
            $($fields)*
        }
        impl Evolve<Filled> for $name {
            fn evolve(&mut self, event: &Filled) {
                *self = serde_json::from_value(event.0.clone()).unwrap();
            }
        }
    };
}

/// Whatever the state is to be.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Filled(Value);

state!(Before, 1, balance: u64,);
state!(WithMore, 1, balance: u64, #[serde(default)] owner: String,);
state!(WithAnother, 1, cents: u64,);
state!(
    WithOption, 1,
    balance: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
);
state!(Raised, 2, cents: u64,);

#[test]
fn a_state_whose_shape_changed_under_the_same_version_is_noticed() {
    let dir = temp_dir();
    let before =
        || state_history::<Before>(dir.path()).after(events![Filled(json!({ "balance": 5 }))]);
    fails(
        || before().blessed(false).check(),
        &[
            "the state of `account` has no sample of version 1",
            "account.v1.json",
        ],
    );
    before().blessed(true).check();
    before().blessed(false).check();
    state_history::<Before>(dir.path()).blessed(false).check();

    let changed = "the state of `account` has changed, and its version is still 1";
    let remedy = "`snapshot(version = 2)`";
    fails(
        || state_history::<WithMore>(dir.path()).check(),
        &[changed, remedy, "+   \"owner\": \"\""],
    );
    fails(
        || state_history::<WithAnother>(dir.path()).check(),
        &[changed, "missing field `cents`"],
    );
    let filled = events![Filled(json!({ "balance": 5, "owner": "Ada" }))];
    fails(
        || {
            state_history::<WithOption>(dir.path())
                .after(filled)
                .check();
        },
        &[changed, "it also has `owner`"],
    );
    state_history::<Raised>(dir.path()).blessed(true).check();
    assert_eq!(files(dir.path()), ["account.v1.json", "account.v2.json"]);
    assert_eq!(Raised::STATE_VERSION, 2);
}
