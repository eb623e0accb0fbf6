#[aggregate(comands(Open, other::Open), event_enum(derive(Debug)), error = BankError)]
pub struct BankAccount;

// Expands to:

::core::compile_error! {
    "unknown key `comands` in `#[aggregate(...)]`; did you mean `commands`?"
}
::core::compile_error! {
    "`events(...)` is missing; list the event types of `BankAccount`, or name an enum of your own with `event = Type`"
}
::core::compile_error! {
    "two commands are called `Open`; import one under another name, `use other::Open as OtherOpen;`, and list that"
}
::core::compile_error! {
    "first listed here"
}
::core::compile_error! {
    "`BankAccountEvent` must be `Clone`; add it: `derive(Clone, ...)`"
}
/// The commands of `BankAccount`.
pub enum BankAccountCommand {
    /// The command `Open`.
    Open(Open),
    /// The command `Open_`.
    Open_(other::Open),
}
/// The events of `BankAccount`.
#[derive(Debug, ::core::clone::Clone)]
pub enum BankAccountEvent {
    /// The event `bool`.
    bool(::core::primitive::bool),
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl ::core::convert::From<Open> for BankAccountCommand {
        fn from(__message: Open) -> Self {
            Self::Open(__message)
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<other::Open> for BankAccountCommand {
        fn from(__message: other::Open) -> Self {
            Self::Open_(__message)
        }
    }
    #[automatically_derived]
    impl ::core::clone::Clone for BankAccountCommand {
        fn clone(&self) -> Self {
            match self {
                Self::Open(__message) => {
                    Self::Open(__eventfold::ListedCommand::<Open>::__clone(__message))
                }
                Self::Open_(__message) => {
                    Self::Open_(
                        __eventfold::ListedCommand::<other::Open>::__clone(__message),
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for BankAccountCommand {
        fn fmt(
            &self,
            __formatter: &mut ::core::fmt::Formatter<'_>,
        ) -> ::core::fmt::Result {
            match self {
                Self::Open(__message) => {
                    __formatter
                        .debug_tuple("Open")
                        .field(__eventfold::ListedCommand::<Open>::__debug(__message))
                        .finish()
                }
                Self::Open_(__message) => {
                    __formatter
                        .debug_tuple("Open_")
                        .field(
                            __eventfold::ListedCommand::<other::Open>::__debug(__message),
                        )
                        .finish()
                }
            }
        }
    }
    #[automatically_derived]
    impl __eventfold::serde::Serialize for BankAccountCommand {
        fn serialize<__S: __eventfold::serde::Serializer>(
            &self,
            __serializer: __S,
        ) -> ::core::result::Result<
            <__S as __eventfold::serde::Serializer>::Ok,
            <__S as __eventfold::serde::Serializer>::Error,
        > {
            match self {
                Self::Open(__command) => {
                    <Open as __eventfold::CommandPayload>::serialize_as(
                        __command,
                        "BankAccountCommand",
                        "Open",
                        __serializer,
                    )
                }
                Self::Open_(__command) => {
                    <other::Open as __eventfold::CommandPayload>::serialize_as(
                        __command,
                        "BankAccountCommand",
                        "Open_",
                        __serializer,
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl<'de> __eventfold::serde::Deserialize<'de> for BankAccountCommand {
        fn deserialize<__D: __eventfold::serde::Deserializer<'de>>(
            __deserializer: __D,
        ) -> ::core::result::Result<
            Self,
            <__D as __eventfold::serde::Deserializer<'de>>::Error,
        > {
            <Self as __eventfold::CommandSet>::deserialize_tagged(
                "BankAccountCommand",
                __deserializer,
            )
        }
    }
    #[automatically_derived]
    impl __eventfold::CommandSet for BankAccountCommand {
        const NAMES: &'static [&'static str] = &["Open", "Open_"];
        fn deserialize_named<'de, __D: __eventfold::serde::Deserializer<'de>>(
            __name: &'static str,
            __data: __D,
        ) -> ::core::result::Result<
            Self,
            <__D as __eventfold::serde::Deserializer<'de>>::Error,
        > {
            match __name {
                "Open" => {
                    <Open as __eventfold::CommandPayload>::deserialize_from(__data)
                        .map(Self::Open)
                }
                "Open_" => {
                    <other::Open as __eventfold::CommandPayload>::deserialize_from(
                            __data,
                        )
                        .map(Self::Open_)
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
    impl ::core::convert::From<::core::primitive::bool> for BankAccountEvent {
        fn from(__message: ::core::primitive::bool) -> Self {
            Self::bool(__message)
        }
    }
    #[automatically_derived]
    impl __eventfold::serde::Serialize for BankAccountEvent {
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
    impl<'de> __eventfold::serde::Deserialize<'de> for BankAccountEvent {
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
    impl __eventfold::DomainEvent for BankAccountEvent {
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
    impl<__Any> ::core::convert::From<__Any> for BankAccountEvent
    where
        BankAccount: __eventfold::Evolve<__Any>,
    {
        fn from(_: __Any) -> Self {
            ::core::unreachable!()
        }
    }
    #[automatically_derived]
    impl __eventfold::DecisionTypes for BankAccount {
        type DomainEvent = BankAccountEvent;
        type Error = BankError;
    }
    #[automatically_derived]
    impl __eventfold::Aggregate for BankAccount {
        const AGGREGATE_TYPE: &'static str = "";
        type Command = BankAccountCommand;
        type DomainEvent = BankAccountEvent;
        type Error = BankError;
        fn handle(
            &self,
            _: BankAccountCommand,
        ) -> ::core::result::Result<::std::vec::Vec<BankAccountEvent>, BankError> {
            ::core::unreachable!()
        }
        fn apply(self, _: &BankAccountEvent) -> Self {
            ::core::unreachable!()
        }
    }
};
