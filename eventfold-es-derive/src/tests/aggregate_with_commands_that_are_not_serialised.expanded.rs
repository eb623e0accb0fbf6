#[aggregate(command_enum(derive(Debug)), commands(Add), event = CounterEvent)]
struct Counter(u64);

// Expands to:

/// The commands of `Counter`.
#[derive(Debug)]
enum CounterCommand {
    /// The command `Add`.
    Add(Add),
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl ::core::convert::From<Add> for CounterCommand {
        fn from(__message: Add) -> Self {
            Self::Add(__message)
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
        match __command {
            CounterCommand::Add(__command) => {
                <Counter as __eventfold::DecideWith<
                    Add,
                >>::decide_with(__state, __command, __context)
            }
        }
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
            <Self as __eventfold::Evolve<CounterEvent>>::evolve(&mut self, __event);
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
        fn command_name(__command: &CounterCommand) -> &'static str {
            match __command {
                CounterCommand::Add(_) => "Add",
            }
        }
        fn command_routes(__routes: &mut __eventfold::CommandRoutes<CounterCommand>) {
            __routes.add::<Add>();
        }
        fn __commands() -> ::core::option::Option<
            ::std::vec::Vec<__eventfold::CommandInfo>,
        > {
            use __eventfold::NoSchema as _;
            ::core::option::Option::Some(
                __eventfold::about_commands(
                    &[("Add", __eventfold::SchemaOf::<Add>::__SCHEMA)],
                ),
            )
        }
    }
};
