#[decision(comand = Subscribe, events(Subscribed, other::Subscribed))]
struct Subscribing {
    #[model(course.id)]
    seats: Seats,
    load: Load,
}

// Expands to:

::core::compile_error! {
    "unknown key `comand` in `#[decision(...)]`; did you mean `command`?"
}
::core::compile_error! {
    "expected the name of a tag before a path; the correct format looks like `#[model(id = course.id)]`"
}
::core::compile_error! {
    "`load` is not marked as a model; write `#[model(course)]` above it, with the field of the command that has the value of the model's tag, or `#[model]` for a model without tags"
}
::core::compile_error! {
    "two events are called `Subscribed`; import one under another name, `use other::Subscribed as OtherSubscribed;`, and list that"
}
::core::compile_error! {
    "first listed here"
}
/// The events of `Subscribing`.
enum SubscribingEvent {
    /// The event `Subscribed`.
    Subscribed(Subscribed),
    /// The event `Subscribed_`.
    Subscribed_(other::Subscribed),
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
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
    impl __eventfold::DomainEvent for SubscribingEvent {
        const NAMES: &'static [__eventfold::EventName] = &[];
        fn name(&self) -> &'static str {
            ::core::unreachable!()
        }
        fn encode(
            &self,
            _: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), __eventfold::EncodeError> {
            ::core::unreachable!()
        }
        fn decode(
            _: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<Self>,
            __eventfold::DecodeError,
        > {
            ::core::unreachable!()
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<Subscribed> for SubscribingEvent {
        fn from(__message: Subscribed) -> Self {
            Self::Subscribed(__message)
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<other::Subscribed> for SubscribingEvent {
        fn from(__message: other::Subscribed) -> Self {
            Self::Subscribed_(__message)
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
                Self::Subscribed_(__message) => {
                    Self::Subscribed_(
                        __eventfold::ListedEvent::<other::Subscribed>::__clone(__message),
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
                Self::Subscribed_(__message) => {
                    __formatter
                        .debug_tuple("Subscribed_")
                        .field(
                            __eventfold::ListedEvent::<
                                other::Subscribed,
                            >::__debug(__message),
                        )
                        .finish()
                }
            }
        }
    }
    #[automatically_derived]
    impl __eventfold::DecisionTypes for Subscribing {
        type DomainEvent = SubscribingEvent;
        type Error = ::core::convert::Infallible;
    }
    #[automatically_derived]
    impl __eventfold::Decider for Subscribing {
        const NAME: &'static str = "";
        type Command = Subscribe;
        const COMMAND_NAME: &'static str = "";
        const __MODELS: &'static [__eventfold::ModelOf<Subscribe>] = &[];
        fn __take(_: &mut [__eventfold::ModelState]) -> Self {
            ::core::unreachable!()
        }
        fn __put_back(self, _: &mut [__eventfold::ModelState]) {
            ::core::unreachable!()
        }
        fn __decide(
            &self,
            _: Subscribe,
            _: &__eventfold::DecisionContext<'_>,
        ) -> ::core::result::Result<
            ::std::vec::Vec<SubscribingEvent>,
            ::core::convert::Infallible,
        > {
            ::core::unreachable!()
        }
    }
};
