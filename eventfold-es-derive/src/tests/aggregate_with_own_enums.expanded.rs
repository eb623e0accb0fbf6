#[aggregate(command = CounterCommand, event = events::CounterEvent)]
struct Counter {
    value: u64,
}

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl __eventfold::DecisionTypes for Counter {
        type DomainEvent = events::CounterEvent;
        type Error = ::core::convert::Infallible;
    }
    #[automatically_derived]
    impl __eventfold::Aggregate for Counter {
        const AGGREGATE_TYPE: &'static str = "counter";
        const UNKNOWN_EVENTS: __eventfold::UnknownEvents = __eventfold::UnknownEvents::Reject;
        type Command = CounterCommand;
        type DomainEvent = events::CounterEvent;
        type Error = ::core::convert::Infallible;
        fn handle(
            &self,
            __command: CounterCommand,
        ) -> ::core::result::Result<
            ::std::vec::Vec<events::CounterEvent>,
            ::core::convert::Infallible,
        > {
            let __context = ::core::default::Default::default();
            <Self as __eventfold::DecideWith<
                CounterCommand,
            >>::decide_with(self, __command, &__context)
        }
        fn handle_with(
            &self,
            __command: CounterCommand,
            __context: &__eventfold::DecisionContext<'_>,
        ) -> ::core::result::Result<
            ::std::vec::Vec<events::CounterEvent>,
            ::core::convert::Infallible,
        > {
            <Self as __eventfold::DecideWith<
                CounterCommand,
            >>::decide_with(self, __command, __context)
        }
        fn apply(mut self, __event: &events::CounterEvent) -> Self {
            <Self as __eventfold::Evolve<
                events::CounterEvent,
            >>::evolve(&mut self, __event);
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
            __event: &events::CounterEvent,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<
            ::std::borrow::Cow<'static, str>,
            __eventfold::EncodeError,
        > {
            <events::CounterEvent as __eventfold::DomainEvent>::encode(__event, __data)?;
            ::core::result::Result::Ok(
                ::std::borrow::Cow::Borrowed(
                    <events::CounterEvent as __eventfold::DomainEvent>::name(__event),
                ),
            )
        }
        fn event_version(__event: &events::CounterEvent) -> ::core::option::Option<u32> {
            ::core::option::Option::Some(
                <events::CounterEvent as __eventfold::DomainEvent>::schema_version(
                    __event,
                ),
            )
        }
        const HAS_TAGS: bool = __eventfold::has_tags(
            <events::CounterEvent as __eventfold::DomainEvent>::NAMES,
        );
        fn event_tags(
            __event: &events::CounterEvent,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            <events::CounterEvent as __eventfold::DomainEvent>::append_tags(
                __event,
                __tags,
            )
        }
        fn decode_event(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<events::CounterEvent>,
            __eventfold::DecodeError,
        > {
            <events::CounterEvent as __eventfold::DomainEvent>::decode(__stored)
        }
        fn knows_event(__name: &str) -> bool {
            <events::CounterEvent as __eventfold::DomainEvent>::knows(__name)
        }
        fn __fingerprint() -> u64 {
            __eventfold::fingerprint(
                <events::CounterEvent as __eventfold::DomainEvent>::NAMES,
            )
        }
        const __EVENT_NAMES: ::core::option::Option<&'static [__eventfold::EventName]> = ::core::option::Option::Some(
            <events::CounterEvent as __eventfold::DomainEvent>::NAMES,
        );
        fn __events() -> ::core::option::Option<
            ::std::vec::Vec<__eventfold::EventInfo>,
        > {
            let mut __events = ::std::vec::Vec::new();
            <events::CounterEvent as __eventfold::DomainEvent>::__about(&mut __events);
            ::core::option::Option::Some(__events)
        }
    }
};
