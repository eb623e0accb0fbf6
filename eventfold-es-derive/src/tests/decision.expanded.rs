#[decision(command = Subscribe, events(Subscribed), error = SubscribeError)]
struct Subscribing {
    #[model(course)]
    seats: Seats,
    #[model(student)]
    load: Load,
}

// Expands to:

/// The events of `Subscribing`.
enum SubscribingEvent {
    /// The event `Subscribed`.
    Subscribed(Subscribed),
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NoSchema as _;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl ::core::convert::From<Subscribed> for SubscribingEvent {
        fn from(__message: Subscribed) -> Self {
            Self::Subscribed(__message)
        }
    }
    #[automatically_derived]
    impl ::core::clone::Clone for SubscribingEvent {
        fn clone(&self) -> Self {
            match self {
                Self::Subscribed(__message) => {
                    Self::Subscribed(
                        __eventfold::ListedEvent::<Subscribed>::__clone(__message),
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for SubscribingEvent {
        fn fmt(
            &self,
            __formatter: &mut ::core::fmt::Formatter<'_>,
        ) -> ::core::fmt::Result {
            match self {
                Self::Subscribed(__message) => {
                    __formatter
                        .debug_tuple("Subscribed")
                        .field(
                            __eventfold::ListedEvent::<Subscribed>::__debug(__message),
                        )
                        .finish()
                }
            }
        }
    }
    const __EVENTS: &__eventfold::Events = &[
        ("Subscribed", <Subscribed as __eventfold::DomainEvent>::NAMES),
    ];
    const __NAMES: [__eventfold::EventName; __eventfold::count_names(__EVENTS)] = __eventfold::concat_names(
        __EVENTS,
    );
    #[automatically_derived]
    impl __eventfold::DomainEvent for SubscribingEvent {
        const NAMES: &'static [__eventfold::EventName] = &__NAMES;
        fn name(&self) -> &'static str {
            match self {
                Self::Subscribed(__event) => {
                    <Subscribed as __eventfold::DomainEvent>::name(__event)
                }
            }
        }
        fn schema_version(&self) -> u32 {
            match self {
                Self::Subscribed(__event) => {
                    <Subscribed as __eventfold::DomainEvent>::schema_version(__event)
                }
            }
        }
        fn append_tags(
            &self,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            match self {
                Self::Subscribed(__event) => {
                    <Subscribed as __eventfold::DomainEvent>::append_tags(
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
                Self::Subscribed(__event) => {
                    <Subscribed as __eventfold::DomainEvent>::encode(__event, __data)
                }
            }
        }
        fn decode(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<Self>,
            __eventfold::DecodeError,
        > {
            if <Subscribed as __eventfold::DomainEvent>::knows(__stored.name()) {
                return ::core::result::Result::Ok(
                    <Subscribed as __eventfold::DomainEvent>::decode(__stored)?
                        .map(Self::Subscribed),
                );
            }
            ::core::result::Result::Err(__stored.unknown())
        }
        fn __about(__events: &mut ::std::vec::Vec<__eventfold::EventInfo>) {
            <Subscribed as __eventfold::DomainEvent>::__about(__events);
        }
        __eventfold::__testing! {
            fn __samples() -> ::std::vec::Vec < Self > { use __eventfold::NotMade as _;
            let mut __samples = ::std::vec::Vec::new(); __eventfold::add_samples(& mut
            __samples, < Subscribed as __eventfold::DomainEvent > ::__samples(),
            Self::Subscribed); __samples }
        }
    }
    #[automatically_derived]
    impl __eventfold::serde::Serialize for SubscribingEvent {
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
    impl<'de> __eventfold::serde::Deserialize<'de> for SubscribingEvent {
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
    impl __eventfold::DecisionTypes for Subscribing {
        type DomainEvent = SubscribingEvent;
        type Error = SubscribeError;
    }
    const _: () = __eventfold::assert_values_are_given(
        "Seats",
        <Seats as __eventfold::DecisionModel>::TAGS,
        <Seats as __eventfold::DecisionModel>::__IS_OF_AGGREGATE,
        &["course"],
    );
    const _: () = __eventfold::assert_values_are_given(
        "Load",
        <Load as __eventfold::DecisionModel>::TAGS,
        <Load as __eventfold::DecisionModel>::__IS_OF_AGGREGATE,
        &["student"],
    );
    #[automatically_derived]
    impl __eventfold::Decider for Subscribing {
        const NAME: &'static str = "subscribing";
        type Command = Subscribe;
        const COMMAND_NAME: &'static str = "Subscribe";
        const __COMMAND_SCHEMA: __eventfold::Schema = __eventfold::SchemaOf::<
            Subscribe,
        >::__SCHEMA;
        fn repeat(__command: &Subscribe) -> ::core::option::Option<Subscribe> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<Subscribe>::__copy(__command)
        }
        fn fingerprint(__command: &Subscribe) -> ::core::option::Option<u64> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<Subscribe>::__fingerprint(__command)
        }
        const __MODELS: &'static [__eventfold::ModelOf<Subscribe>] = &[
            __eventfold::ModelOf::new(
                <Seats as __eventfold::DecisionModel>::__ERASED,
                "seats",
                |__command, __tags| {
                    __eventfold::add_value(
                        <Seats as __eventfold::DecisionModel>::__tag("course"),
                        &__command.course,
                        __tags,
                    )?;
                    ::core::result::Result::Ok(())
                },
            ),
            __eventfold::ModelOf::new(
                <Load as __eventfold::DecisionModel>::__ERASED,
                "load",
                |__command, __tags| {
                    __eventfold::add_value(
                        <Load as __eventfold::DecisionModel>::__tag("student"),
                        &__command.student,
                        __tags,
                    )?;
                    ::core::result::Result::Ok(())
                },
            ),
        ];
        fn __take(__states: &mut [__eventfold::ModelState]) -> Self {
            Self {
                seats: <Seats as __eventfold::DecisionModel>::__take(&mut __states[0]),
                load: <Load as __eventfold::DecisionModel>::__take(&mut __states[1]),
            }
        }
        fn __put_back(self, __states: &mut [__eventfold::ModelState]) {
            <Seats as __eventfold::DecisionModel>::__put_back(
                self.seats,
                &mut __states[0],
            );
            <Load as __eventfold::DecisionModel>::__put_back(
                self.load,
                &mut __states[1],
            );
        }
        fn __decide(
            &self,
            __command: Subscribe,
            __context: &__eventfold::DecisionContext<'_>,
        ) -> ::core::result::Result<::std::vec::Vec<SubscribingEvent>, SubscribeError> {
            <Self as __eventfold::DecidesCommand<
                Subscribe,
            >>::decide_command(self, __command, __context)
        }
    }
};
