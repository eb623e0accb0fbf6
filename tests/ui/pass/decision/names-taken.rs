// Everything that generated code might call by a short name is something else here, or not there.
#![no_implicit_prelude]

mod runtime {
    pub use ::eventfold_es;
}

mod school {
    use super::runtime::eventfold_es::{
        Decide, Decision, DecisionModel, DomainEvent, Evolve, EvolveWith, Recorded,
    };
    use ::serde::{Deserialize, Serialize};

    pub mod core {}
    pub mod std {}
    pub mod serde {}
    pub mod eventfold_es {}
    pub struct Result;
    pub struct Option;
    pub struct Vec;
    pub struct Tags;
    pub struct InvalidTag;
    pub struct Decider;
    pub struct ModelOf;
    pub struct ModelState;
    pub struct EventName;
    pub struct StoredEvent;

    #[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
    #[event(crate = super::runtime::eventfold_es)]
    pub struct r#Subscribed {
        #[tag]
        pub r#type: ::std::string::String,
        #[tag]
        pub __tags: u8,
    }

    #[derive(::std::default::Default, DecisionModel)]
    #[decision_model(
        tags("type", "__tags"),
        events(r#Subscribed),
        crate = super::runtime::eventfold_es,
    )]
    #[deprecated]
    pub struct r#Seats {
        taken: u32,
    }

    #[allow(deprecated)]
    impl EvolveWith<Subscribed> for Seats {
        fn evolve_with(&mut self, _: &Subscribed, _: &Recorded<'_>) {
            self.taken += 1;
        }
    }

    #[derive(::std::default::Default, DecisionModel)]
    #[decision_model(events(self::Subscribed), crate = super::runtime::eventfold_es)]
    pub struct All;

    impl Evolve<Subscribed> for All {
        fn evolve(&mut self, _: &Subscribed) {}
    }

    pub struct r#Subscribe {
        pub r#type: ::std::string::String,
        pub __tags: u8,
    }

    #[derive(Decision)]
    #[decision(
        command = r#Subscribe,
        events(r#Subscribed),
        crate = super::runtime::eventfold_es,
    )]
    pub struct r#Subscribing {
        #[model(r#type, __tags)]
        #[allow(deprecated)]
        r#type: r#Seats,
        #[model]
        __states: All,
    }

    impl Decide<Subscribe> for Subscribing {
        fn decide(&self, command: Subscribe) -> Decision<Self> {
            let Subscribe { r#type, __tags } = command;
            ::std::result::Result::Ok(super::runtime::eventfold_es::events![Subscribed {
                r#type,
                __tags
            }])
        }
    }
}

pub(super) fn main() {
    use ::eventfold_es::Decider;
    ::std::assert_eq!(<school::Subscribing as Decider>::NAME, "subscribing");
    ::std::assert_eq!(<school::Subscribing as Decider>::COMMAND_NAME, "Subscribe");
}
