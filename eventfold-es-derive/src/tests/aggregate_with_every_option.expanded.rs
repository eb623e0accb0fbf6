#[aggregate(
    name = "konto",
    commands(commands::Deposit = "deposit"),
    events(self::events::Deposited),
    error = BankError<u64>,
    command_enum(name = Command, derive(Debug, PartialEq, Serialize, Deserialize)),
    event_enum(name = Event, derive(Clone, PartialEq, Serialize, Deserialize)),
    snapshot(every = 50, version = 2),
    unknown_events = "skip",
    crate = ::framework::eventfold_es,
)]
pub(crate) struct BankAccount(u64);

// Expands to:

/// The commands of `BankAccount`.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    /// The command `Deposit`.
    Deposit(commands::Deposit),
}
/// The events of `BankAccount`.
#[derive(Clone, PartialEq)]
pub(crate) enum Event {
    /// The event `Deposited`.
    Deposited(self::events::Deposited),
}
const _: () = {
    use ::framework::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl ::core::convert::From<commands::Deposit> for Command {
        fn from(__message: commands::Deposit) -> Self {
            Self::Deposit(__message)
        }
    }
    #[automatically_derived]
    impl __eventfold::serde::Serialize for Command {
        fn serialize<__S: __eventfold::serde::Serializer>(
            &self,
            __serializer: __S,
        ) -> ::core::result::Result<
            <__S as __eventfold::serde::Serializer>::Ok,
            <__S as __eventfold::serde::Serializer>::Error,
        > {
            match self {
                Self::Deposit(__command) => {
                    <commands::Deposit as __eventfold::CommandPayload>::serialize_as(
                        __command,
                        "Command",
                        "deposit",
                        __serializer,
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl<'de> __eventfold::serde::Deserialize<'de> for Command {
        fn deserialize<__D: __eventfold::serde::Deserializer<'de>>(
            __deserializer: __D,
        ) -> ::core::result::Result<
            Self,
            <__D as __eventfold::serde::Deserializer<'de>>::Error,
        > {
            <Self as __eventfold::CommandSet>::deserialize_tagged(
                "Command",
                __deserializer,
            )
        }
    }
    #[automatically_derived]
    impl __eventfold::CommandSet for Command {
        const NAMES: &'static [&'static str] = &["deposit"];
        fn deserialize_named<'de, __D: __eventfold::serde::Deserializer<'de>>(
            __name: &'static str,
            __data: __D,
        ) -> ::core::result::Result<
            Self,
            <__D as __eventfold::serde::Deserializer<'de>>::Error,
        > {
            match __name {
                "deposit" => {
                    <commands::Deposit as __eventfold::CommandPayload>::deserialize_from(
                            __data,
                        )
                        .map(Self::Deposit)
                }
                _ => {
                    ::core::result::Result::Err(
                        <<__D as __eventfold::serde::Deserializer<
                            'de,
                        >>::Error as __eventfold::serde::de::Error>::unknown_variant(
                            __name,
                            <Self as __eventfold::CommandSet>::NAMES,
                        ),
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<self::events::Deposited> for Event {
        fn from(__message: self::events::Deposited) -> Self {
            Self::Deposited(__message)
        }
    }
    const __EVENTS: &__eventfold::Events = &[
        (
            "self::events::Deposited",
            <self::events::Deposited as __eventfold::DomainEvent>::NAMES,
        ),
    ];
    const __NAMES: [__eventfold::EventName; __eventfold::count_names(__EVENTS)] = __eventfold::concat_names(
        __EVENTS,
    );
    #[automatically_derived]
    impl __eventfold::DomainEvent for Event {
        const NAMES: &'static [__eventfold::EventName] = &__NAMES;
        fn name(&self) -> &'static str {
            match self {
                Self::Deposited(__event) => {
                    <self::events::Deposited as __eventfold::DomainEvent>::name(__event)
                }
            }
        }
        fn schema_version(&self) -> u32 {
            match self {
                Self::Deposited(__event) => {
                    <self::events::Deposited as __eventfold::DomainEvent>::schema_version(
                        __event,
                    )
                }
            }
        }
        fn append_tags(
            &self,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            match self {
                Self::Deposited(__event) => {
                    <self::events::Deposited as __eventfold::DomainEvent>::append_tags(
                        __event,
                        __tags,
                    )
                }
            }
        }
        fn encode(
            &self,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), __eventfold::EncodeError> {
            match self {
                Self::Deposited(__event) => {
                    <self::events::Deposited as __eventfold::DomainEvent>::encode(
                        __event,
                        __data,
                    )
                }
            }
        }
        fn decode(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<Self>,
            __eventfold::DecodeError,
        > {
            if <self::events::Deposited as __eventfold::DomainEvent>::knows(
                __stored.name(),
            ) {
                return ::core::result::Result::Ok(
                    <self::events::Deposited as __eventfold::DomainEvent>::decode(
                            __stored,
                        )?
                        .map(Self::Deposited),
                );
            }
            ::core::result::Result::Err(__stored.unknown())
        }
        fn __about(__events: &mut ::std::vec::Vec<__eventfold::EventInfo>) {
            <self::events::Deposited as __eventfold::DomainEvent>::__about(__events);
        }
        __eventfold::__testing! {
            fn __samples() -> ::std::vec::Vec < Self > { use __eventfold::NotMade as _;
            let mut __samples = ::std::vec::Vec::new(); __eventfold::add_samples(& mut
            __samples, < self::events::Deposited as __eventfold::DomainEvent >
            ::__samples(), Self::Deposited); __samples }
        }
    }
    #[automatically_derived]
    impl __eventfold::serde::Serialize for Event {
        fn serialize<__S: __eventfold::serde::Serializer>(
            &self,
            __serializer: __S,
        ) -> ::core::result::Result<
            <__S as __eventfold::serde::Serializer>::Ok,
            <__S as __eventfold::serde::Serializer>::Error,
        > {
            __eventfold::serialize_event(self, __serializer)
        }
    }
    #[automatically_derived]
    impl<'de> __eventfold::serde::Deserialize<'de> for Event {
        fn deserialize<__D: __eventfold::serde::Deserializer<'de>>(
            __deserializer: __D,
        ) -> ::core::result::Result<
            Self,
            <__D as __eventfold::serde::Deserializer<'de>>::Error,
        > {
            __eventfold::deserialize_event(__deserializer)
        }
    }
    #[automatically_derived]
    impl __eventfold::DecisionTypes for BankAccount {
        type DomainEvent = Event;
        type Error = BankError<u64>;
    }
    fn __decide(
        __state: &BankAccount,
        __command: Command,
        __context: &__eventfold::DecisionContext<'_>,
    ) -> ::core::result::Result<::std::vec::Vec<Event>, BankError<u64>> {
        match __command {
            Command::Deposit(__command) => {
                __eventfold::DecideWith::decide_with(
                    __state,
                    __eventfold::ListedCommand::<commands::Deposit>::__own(__command),
                    __context,
                )
            }
        }
    }
    #[automatically_derived]
    impl __eventfold::Aggregate for BankAccount {
        const AGGREGATE_TYPE: &'static str = "konto";
        const STATE_VERSION: u32 = 2;
        const SNAPSHOT_EVERY: ::core::option::Option<u64> = ::core::option::Option::Some(
            50,
        );
        const UNKNOWN_EVENTS: __eventfold::UnknownEvents = __eventfold::UnknownEvents::Skip;
        type Command = Command;
        type DomainEvent = Event;
        type Error = BankError<u64>;
        fn handle(
            &self,
            __command: Command,
        ) -> ::core::result::Result<::std::vec::Vec<Event>, BankError<u64>> {
            let __context = ::core::default::Default::default();
            __decide(self, __command, &__context)
        }
        fn handle_with(
            &self,
            __command: Command,
            __context: &__eventfold::DecisionContext<'_>,
        ) -> ::core::result::Result<::std::vec::Vec<Event>, BankError<u64>> {
            __decide(self, __command, __context)
        }
        fn apply(mut self, __event: &Event) -> Self {
            match __event {
                Event::Deposited(__event) => {
                    __eventfold::Evolve::evolve(
                        &mut self,
                        __eventfold::ListedEvent::<
                            self::events::Deposited,
                        >::__known(__event),
                    )
                }
            }
            self
        }
        fn repeat(__command: &Command) -> ::core::option::Option<Command> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<Command>::__copy(__command)
        }
        fn fingerprint(__command: &Command) -> ::core::option::Option<u64> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<Command>::__fingerprint(__command)
        }
        fn encode_event(
            __event: &Event,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<
            ::std::borrow::Cow<'static, str>,
            __eventfold::EncodeError,
        > {
            <Event as __eventfold::DomainEvent>::encode(__event, __data)?;
            ::core::result::Result::Ok(
                ::std::borrow::Cow::Borrowed(
                    <Event as __eventfold::DomainEvent>::name(__event),
                ),
            )
        }
        fn event_version(__event: &Event) -> ::core::option::Option<u32> {
            ::core::option::Option::Some(
                <Event as __eventfold::DomainEvent>::schema_version(__event),
            )
        }
        const HAS_TAGS: bool = __eventfold::has_tags(
            <Event as __eventfold::DomainEvent>::NAMES,
        );
        fn event_tags(
            __event: &Event,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            <Event as __eventfold::DomainEvent>::append_tags(__event, __tags)
        }
        fn decode_event(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<Event>,
            __eventfold::DecodeError,
        > {
            <Event as __eventfold::DomainEvent>::decode(__stored)
        }
        fn knows_event(__name: &str) -> bool {
            <Event as __eventfold::DomainEvent>::knows(__name)
        }
        fn __fingerprint() -> u64 {
            __eventfold::fingerprint(<Event as __eventfold::DomainEvent>::NAMES)
        }
        const __EVENT_NAMES: ::core::option::Option<&'static [__eventfold::EventName]> = ::core::option::Option::Some(
            <Event as __eventfold::DomainEvent>::NAMES,
        );
        fn __events() -> ::core::option::Option<
            ::std::vec::Vec<__eventfold::EventInfo>,
        > {
            let mut __events = ::std::vec::Vec::new();
            <Event as __eventfold::DomainEvent>::__about(&mut __events);
            ::core::option::Option::Some(__events)
        }
        fn command_name(__command: &Command) -> &'static str {
            match __command {
                Command::Deposit(_) => "deposit",
            }
        }
        fn command_routes(__routes: &mut __eventfold::CommandRoutes<Command>) {
            __routes.add::<commands::Deposit>();
        }
        fn __commands() -> ::core::option::Option<
            ::std::vec::Vec<__eventfold::CommandInfo>,
        > {
            use __eventfold::NoSchema as _;
            ::core::option::Option::Some(
                __eventfold::about_commands(
                    &[("deposit", __eventfold::SchemaOf::<commands::Deposit>::__SCHEMA)],
                ),
            )
        }
    }
};
