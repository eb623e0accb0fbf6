#[aggregate(
    commands(),
    events(Opened),
    retired("Paused", "Doubled" = doubled, history::Moved = history::moved, Old),
)]
struct Counter(u64);

// Expands to:

/// The commands of `Counter`.
enum CounterCommand {}
/// The events of `Counter`.
enum CounterEvent {
    /// The event `Opened`.
    Opened(Opened),
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl ::core::clone::Clone for CounterCommand {
        fn clone(&self) -> Self {
            match *self {}
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for CounterCommand {
        fn fmt(
            &self,
            __formatter: &mut ::core::fmt::Formatter<'_>,
        ) -> ::core::fmt::Result {
            match *self {}
        }
    }
    #[automatically_derived]
    impl __eventfold::serde::Serialize for CounterCommand {
        fn serialize<__S: __eventfold::serde::Serializer>(
            &self,
            __serializer: __S,
        ) -> ::core::result::Result<
            <__S as __eventfold::serde::Serializer>::Ok,
            <__S as __eventfold::serde::Serializer>::Error,
        > {
            match *self {}
        }
    }
    #[automatically_derived]
    impl<'de> __eventfold::serde::Deserialize<'de> for CounterCommand {
        fn deserialize<__D: __eventfold::serde::Deserializer<'de>>(
            __deserializer: __D,
        ) -> ::core::result::Result<
            Self,
            <__D as __eventfold::serde::Deserializer<'de>>::Error,
        > {
            <Self as __eventfold::CommandSet>::deserialize_tagged(
                "CounterCommand",
                __deserializer,
            )
        }
    }
    #[automatically_derived]
    impl __eventfold::CommandSet for CounterCommand {
        const NAMES: &'static [&'static str] = &[];
        fn deserialize_named<'de, __D: __eventfold::serde::Deserializer<'de>>(
            __name: &'static str,
            __data: __D,
        ) -> ::core::result::Result<
            Self,
            <__D as __eventfold::serde::Deserializer<'de>>::Error,
        > {
            match __name {
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
    impl ::core::convert::From<Opened> for CounterEvent {
        fn from(__message: Opened) -> Self {
            Self::Opened(__message)
        }
    }
    #[automatically_derived]
    impl ::core::clone::Clone for CounterEvent {
        fn clone(&self) -> Self {
            match self {
                Self::Opened(__message) => {
                    Self::Opened(__eventfold::ListedEvent::<Opened>::__clone(__message))
                }
            }
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for CounterEvent {
        fn fmt(
            &self,
            __formatter: &mut ::core::fmt::Formatter<'_>,
        ) -> ::core::fmt::Result {
            match self {
                Self::Opened(__message) => {
                    __formatter
                        .debug_tuple("Opened")
                        .field(__eventfold::ListedEvent::<Opened>::__debug(__message))
                        .finish()
                }
            }
        }
    }
    use __eventfold::Infallible as _;
    const __EVENTS: &__eventfold::Events = &[
        ("Opened", <Opened as __eventfold::DomainEvent>::NAMES),
        (
            "retired(\"Paused\")",
            &[
                __eventfold::EventName {
                    name: "Paused",
                    aliases: &[],
                    version: ::core::option::Option::None,
                    tags: &[],
                },
            ],
        ),
        (
            "retired(\"Doubled\")",
            &[
                __eventfold::EventName {
                    name: "Doubled",
                    aliases: &[],
                    version: ::core::option::Option::None,
                    tags: &[],
                },
            ],
        ),
        (
            "retired(history::Moved)",
            &__eventfold::retired_names::<
                { <history::Moved as __eventfold::DomainEvent>::NAMES.len() },
            >(<history::Moved as __eventfold::DomainEvent>::NAMES),
        ),
        (
            "retired(Old)",
            &__eventfold::retired_names::<
                { <Old as __eventfold::DomainEvent>::NAMES.len() },
            >(<Old as __eventfold::DomainEvent>::NAMES),
        ),
    ];
    const __NAMES: [__eventfold::EventName; __eventfold::count_names(__EVENTS)] = __eventfold::concat_names(
        __EVENTS,
    );
    const __SHARED: __eventfold::Shared<5> = __eventfold::shared_names::<
        5,
        { __eventfold::slots(__EVENTS) },
    >(__EVENTS);
    const _: () = __eventfold::assert_names_are_new("Counter", __EVENTS, &__SHARED, 1);
    const _: () = __eventfold::assert_names_are_new("Counter", __EVENTS, &__SHARED, 2);
    const _: () = __eventfold::assert_names_are_new("Counter", __EVENTS, &__SHARED, 3);
    const _: () = __eventfold::assert_names_are_new("Counter", __EVENTS, &__SHARED, 4);
    #[automatically_derived]
    impl __eventfold::DomainEvent for CounterEvent {
        const NAMES: &'static [__eventfold::EventName] = &__NAMES;
        fn name(&self) -> &'static str {
            match self {
                Self::Opened(__event) => {
                    <Opened as __eventfold::DomainEvent>::name(__event)
                }
            }
        }
        fn schema_version(&self) -> u32 {
            match self {
                Self::Opened(__event) => {
                    <Opened as __eventfold::DomainEvent>::schema_version(__event)
                }
            }
        }
        fn append_tags(
            &self,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            match self {
                Self::Opened(__event) => {
                    <Opened as __eventfold::DomainEvent>::append_tags(__event, __tags)
                }
            }
        }
        fn encode(
            &self,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), __eventfold::EncodeError> {
            match self {
                Self::Opened(__event) => {
                    <Opened as __eventfold::DomainEvent>::encode(__event, __data)
                }
            }
        }
        fn decode(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<Self>,
            __eventfold::DecodeError,
        > {
            if <Opened as __eventfold::DomainEvent>::knows(__stored.name()) {
                return ::core::result::Result::Ok(
                    <Opened as __eventfold::DomainEvent>::decode(__stored)?
                        .map(Self::Opened),
                );
            }
            if __stored.name() == "Paused" {
                return ::core::result::Result::Ok(__eventfold::Decoded::none());
            }
            if __stored.name() == "Doubled" {
                let __upcast = __eventfold::Upcast::of(__stored, 1)?;
                let __event = __eventfold::Upcast::first(
                        &__upcast,
                        1,
                        "doubled",
                        doubled,
                    )?
                    .__result()?;
                return __eventfold::Upcast::last::<Self, _>(&__upcast, __event);
            }
            if <history::Moved as __eventfold::DomainEvent>::knows(__stored.name()) {
                let __upcast = __eventfold::Upcast::any(__stored)?;
                let mut __events = ::std::vec::Vec::new();
                for __event in <history::Moved as __eventfold::DomainEvent>::decode(
                    __stored,
                )? {
                    let __event = __eventfold::Upcast::retired(
                            &__upcast,
                            "history::moved",
                            history::moved,
                            __event,
                        )
                        .__result()?;
                    ::core::iter::Extend::extend(
                        &mut __events,
                        __eventfold::Upcast::last::<Self, _>(&__upcast, __event)?,
                    );
                }
                return ::core::result::Result::Ok(__eventfold::Decoded::many(__events));
            }
            if <Old as __eventfold::DomainEvent>::knows(__stored.name()) {
                return ::core::result::Result::Ok(__eventfold::Decoded::none());
            }
            ::core::result::Result::Err(__stored.unknown())
        }
        fn __about(__events: &mut ::std::vec::Vec<__eventfold::EventInfo>) {
            <Opened as __eventfold::DomainEvent>::__about(__events);
            __eventfold::add_retired(__events, "Paused", ::core::option::Option::None);
            __eventfold::add_retired(
                __events,
                "Doubled",
                ::core::option::Option::Some("doubled"),
            );
            __eventfold::add_retired_type(
                __events,
                <history::Moved as __eventfold::DomainEvent>::__about,
                ::core::option::Option::Some("history::moved"),
            );
            __eventfold::add_retired_type(
                __events,
                <Old as __eventfold::DomainEvent>::__about,
                ::core::option::Option::None,
            );
        }
        __eventfold::__testing! {
            fn __samples() -> ::std::vec::Vec < Self > { use __eventfold::NotMade as _;
            let mut __samples = ::std::vec::Vec::new(); __eventfold::add_samples(& mut
            __samples, < Opened as __eventfold::DomainEvent > ::__samples(),
            Self::Opened); __samples }
        }
    }
    #[automatically_derived]
    impl __eventfold::serde::Serialize for CounterEvent {
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
    impl<'de> __eventfold::serde::Deserialize<'de> for CounterEvent {
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
    impl __eventfold::DecisionTypes for Counter {
        type DomainEvent = CounterEvent;
        type Error = ::core::convert::Infallible;
    }
    fn __decide(
        __state: &Counter,
        __command: CounterCommand,
        __context: &__eventfold::DecisionContext<'_>,
    ) -> ::core::result::Result<
        ::std::vec::Vec<CounterEvent>,
        ::core::convert::Infallible,
    > {
        match __command {}
    }
    #[automatically_derived]
    impl __eventfold::Aggregate for Counter {
        const AGGREGATE_TYPE: &'static str = "counter";
        const UNKNOWN_EVENTS: __eventfold::UnknownEvents = __eventfold::UnknownEvents::Reject;
        type Command = CounterCommand;
        type DomainEvent = CounterEvent;
        type Error = ::core::convert::Infallible;
        fn handle(
            &self,
            __command: CounterCommand,
        ) -> ::core::result::Result<
            ::std::vec::Vec<CounterEvent>,
            ::core::convert::Infallible,
        > {
            let __context = ::core::default::Default::default();
            __decide(self, __command, &__context)
        }
        fn handle_with(
            &self,
            __command: CounterCommand,
            __context: &__eventfold::DecisionContext<'_>,
        ) -> ::core::result::Result<
            ::std::vec::Vec<CounterEvent>,
            ::core::convert::Infallible,
        > {
            __decide(self, __command, __context)
        }
        fn apply(mut self, __event: &CounterEvent) -> Self {
            match __event {
                CounterEvent::Opened(__event) => {
                    __eventfold::Evolve::evolve(
                        &mut self,
                        __eventfold::ListedEvent::<Opened>::__known(__event),
                    )
                }
            }
            self
        }
        fn repeat(__command: &CounterCommand) -> ::core::option::Option<CounterCommand> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<CounterCommand>::__copy(__command)
        }
        fn fingerprint(__command: &CounterCommand) -> ::core::option::Option<u64> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<CounterCommand>::__fingerprint(__command)
        }
        fn encode_event(
            __event: &CounterEvent,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<
            ::std::borrow::Cow<'static, str>,
            __eventfold::EncodeError,
        > {
            <CounterEvent as __eventfold::DomainEvent>::encode(__event, __data)?;
            ::core::result::Result::Ok(
                ::std::borrow::Cow::Borrowed(
                    <CounterEvent as __eventfold::DomainEvent>::name(__event),
                ),
            )
        }
        fn event_version(__event: &CounterEvent) -> ::core::option::Option<u32> {
            ::core::option::Option::Some(
                <CounterEvent as __eventfold::DomainEvent>::schema_version(__event),
            )
        }
        const HAS_TAGS: bool = __eventfold::has_tags(
            <CounterEvent as __eventfold::DomainEvent>::NAMES,
        );
        fn event_tags(
            __event: &CounterEvent,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            <CounterEvent as __eventfold::DomainEvent>::append_tags(__event, __tags)
        }
        fn decode_event(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<CounterEvent>,
            __eventfold::DecodeError,
        > {
            <CounterEvent as __eventfold::DomainEvent>::decode(__stored)
        }
        fn knows_event(__name: &str) -> bool {
            <CounterEvent as __eventfold::DomainEvent>::knows(__name)
        }
        fn __fingerprint() -> u64 {
            __eventfold::fingerprint(<CounterEvent as __eventfold::DomainEvent>::NAMES)
        }
        const __EVENT_NAMES: ::core::option::Option<&'static [__eventfold::EventName]> = ::core::option::Option::Some(
            <CounterEvent as __eventfold::DomainEvent>::NAMES,
        );
        fn __events() -> ::core::option::Option<
            ::std::vec::Vec<__eventfold::EventInfo>,
        > {
            let mut __events = ::std::vec::Vec::new();
            <CounterEvent as __eventfold::DomainEvent>::__about(&mut __events);
            ::core::option::Option::Some(__events)
        }
        fn __commands() -> ::core::option::Option<
            ::std::vec::Vec<__eventfold::CommandInfo>,
        > {
            ::core::option::Option::Some(__eventfold::about_commands(&[]))
        }
    }
};
