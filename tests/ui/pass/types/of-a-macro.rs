// Structs, paths, types and literals that come out of `macro_rules!`.
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

mod framework {
    pub use eventfold_es as es;
}

macro_rules! account {
    (
        $(#[$attribute:meta])*
        $vis:vis $state:ident($name:literal, $runtime:path) {
            $command:path, $command_type:ty => $event:path, $event_type:ty;
            $error:ty, $every:expr, $enum:ident, $alias:literal
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
        #[aggregate(
            name = $name,
            crate = $runtime,
            commands($command, $command_type, $crate::types_of_a_macro::Rename = $name),
            events($event, $event_type),
            error = $error,
            snapshot(every = $every),
            command_enum(name = $enum),
        )]
        $vis struct $state;

        #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
        #[event(name = $name, alias = $alias, crate = $runtime)]
        $vis struct Renamed;
    };
}

account! {
    /// An account.
    pub Account("konto", crate::types_of_a_macro::framework::es) {
        Open, crate::types_of_a_macro::Close => Opened, crate::types_of_a_macro::Renamed;
        std::convert::Infallible, 10, Commands, "old"
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Open;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Close;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rename;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Opened;

macro_rules! decide {
    ($($command:ty),*) => {$(
        impl Decide<$command> for Account {
            fn decide(&self, _: $command) -> Decision<Self> {
                Ok(events![Renamed])
            }
        }
    )*};
}

decide!(Open, Close, Rename);

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

impl Evolve<Renamed> for Account {
    fn evolve(&mut self, _: &Renamed) {}
}

pub(super) fn main() {
    assert_eq!(Account::AGGREGATE_TYPE, "konto");
    assert_eq!(Account::SNAPSHOT_EVERY, Some(10));
    assert!(Account::knows_event("konto") && Account::knows_event("old"));
    let json = serde_json::to_string(&Commands::Rename(Rename)).unwrap();
    assert_eq!(json, r#"{"type":"konto","data":null}"#);
}
