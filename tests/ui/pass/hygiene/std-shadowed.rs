// Everything that generated code might call by a short name is something else here.
mod bank {
    use ::eventfold_es::{Aggregate, Decide, Decision, DomainEvent, Evolve, events};
    use ::serde::{Deserialize, Serialize};

    pub mod core {}
    pub mod std {}
    pub mod alloc {}
    pub mod serde {}
    pub mod serde_json {}
    pub mod eventfold_es {}
    pub struct Result;
    pub struct Option;
    pub struct Vec;
    pub struct String;
    pub struct Box;
    pub struct Cow;
    pub struct Decoded;
    pub struct Upcast;
    pub trait Infallible {}
    pub struct EventName;
    pub struct StoredEvent;
    pub struct EncodeError;
    pub struct DecodeError;
    pub trait From {}
    pub trait Into {}
    pub trait Serializer {}
    pub trait Deserializer {}
    pub fn panic() {}
    #[allow(non_snake_case)]
    pub fn Ok() {}
    #[allow(non_snake_case)]
    pub fn Err() {}
    #[allow(non_snake_case)]
    pub fn Some() {}
    pub struct None;

    #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(
        commands(Open, Close),
        events(Opened, Ended),
        snapshot(every = 10, version = 2),
        unknown_events = "skip",
        retired("Suspended", Moved = moved),
    )]
    pub struct Account;

    #[derive(Debug, Clone, Serialize, Deserialize)]
    pub struct Open;

    #[derive(Debug, Clone, Serialize, Deserialize)]
    pub struct Close;

    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    #[event(alias = "AccountOpened", version = 3, upcast(1 = v1_to_v2, 2 = v2_to_v3))]
    pub struct Opened;

    fn v1_to_v2(old: u64) -> u64 {
        old
    }

    fn v2_to_v3(_: u64) -> Opened {
        Opened
    }

    #[derive(Serialize, Deserialize, DomainEvent)]
    pub struct Moved;

    fn moved(_: Moved) -> AccountEvent {
        AccountEvent::Opened(Opened)
    }

    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    #[event(rename_all = "kebab-case")]
    pub enum Ended {
        Closed,
        Merged(u64),
    }

    impl Decide<Open> for Account {
        fn decide(&self, _: Open) -> Decision<Self> {
            Decision::<Self>::Ok(events![Opened])
        }
    }

    impl Decide<Close> for Account {
        fn decide(&self, _: Close) -> Decision<Self> {
            Decision::<Self>::Ok(events![Ended::Closed, Ended::Merged(3)])
        }
    }

    impl Evolve<Opened> for Account {
        fn evolve(&mut self, _: &Opened) {}
    }

    impl Evolve<Ended> for Account {
        fn evolve(&mut self, _: &Ended) {}
    }
}

pub(super) fn main() {
    let close = bank::AccountCommand::from(bank::Close);
    let json = serde_json::to_string(&close).unwrap();
    assert_eq!(json, r#"{"type":"Close","data":null}"#);
}
