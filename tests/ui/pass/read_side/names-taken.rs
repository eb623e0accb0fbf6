// Everything that generated code might call by a short name is something else here, or not there.
#![no_implicit_prelude]

mod runtime {
    pub use ::eventfold_es;
}

mod bank {
    use super::runtime::eventfold_es::{
        Aggregate, DomainEvent, Evolve, Outbox, ProcessManager, Project, Projection, React,
        ReactTo, Recorded,
    };
    use ::serde::{Deserialize, Serialize};

    pub mod core {}
    pub mod std {}
    pub mod serde {}
    pub mod eventfold_es {}
    pub mod eventfold {}
    pub struct Result;
    pub struct Vec;
    pub struct Event;
    pub struct EventSet;
    pub struct Targets;
    pub struct StoredEvent;
    pub struct DecodeError;
    pub struct CommandEnvelope;

    #[derive(
        ::std::fmt::Debug,
        ::std::clone::Clone,
        ::std::default::Default,
        Serialize,
        Deserialize,
        Aggregate,
    )]
    #[aggregate(commands(), event = AccountEvent, crate = super::runtime::eventfold_es)]
    #[deprecated]
    pub struct r#Account;

    #[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
    #[event(crate = super::runtime::eventfold_es)]
    pub enum AccountEvent {
        Opened,
    }

    #[allow(deprecated)]
    impl Evolve<AccountEvent> for Account {
        fn evolve(&mut self, _: &AccountEvent) {}
    }

    #[derive(
        ::std::fmt::Debug,
        ::std::clone::Clone,
        ::std::default::Default,
        Serialize,
        Deserialize,
        Projection,
    )]
    #[projection(
        aggregates(r#Account),
        events(r#Subscribed, self::Left),
        crate = super::runtime::eventfold_es,
    )]
    pub enum r#Opens {
        #[default]
        None,
        Some(u64),
    }

    #[allow(deprecated)]
    impl Project<Account> for Opens {
        fn project(&mut self, _: &AccountEvent, _: &Recorded<'_>) {
            *self = match self {
                Self::None => Self::Some(1),
                Self::Some(count) => Self::Some(*count + 1),
            };
        }
    }

    #[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
    #[event(crate = super::runtime::eventfold_es)]
    pub struct r#Subscribed;

    #[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
    #[event(crate = super::runtime::eventfold_es)]
    pub struct Left;

    impl Evolve<Subscribed> for Opens {
        fn evolve(&mut self, _: &Subscribed) {}
    }

    impl Evolve<Left> for Opens {
        fn evolve(&mut self, _: &Left) {}
    }

    #[derive(
        ::std::fmt::Debug, ::std::default::Default, Serialize, Deserialize, ProcessManager,
    )]
    #[process_manager(
        aggregates(self::Account),
        events(self::Subscribed, Left),
        dispatches(Account),
        crate = super::runtime::eventfold_es,
    )]
    pub struct Welcome {}

    #[allow(deprecated)]
    impl React<Account> for Welcome {
        fn react_to(&mut self, _: &AccountEvent, _: &Recorded<'_>, _: &mut Outbox<'_>) {}
    }

    impl ReactTo<Subscribed> for Welcome {
        fn react_to_event(&mut self, _: &Subscribed, _: &Recorded<'_>, _: &mut Outbox<'_>) {}
    }

    impl ReactTo<Left> for Welcome {
        fn react_to_event(&mut self, _: &Left, _: &Recorded<'_>, _: &mut Outbox<'_>) {}
    }
}

pub(super) fn main() {
    use ::eventfold_es::{ProcessManager, Projection};
    ::std::assert_eq!(<bank::Opens as Projection>::NAME, "opens");
    ::std::assert_eq!(<bank::Welcome as ProcessManager>::NAME, "welcome");
}
