#[aggregate(commands(), event = Imported)]
struct Archive;

// Expands to:

/// The commands of `Archive`.
enum ArchiveCommand {}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl ::core::clone::Clone for ArchiveCommand {
        fn clone(&self) -> Self {
            match *self {}
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for ArchiveCommand {
        fn fmt(
            &self,
            __formatter: &mut ::core::fmt::Formatter<'_>,
        ) -> ::core::fmt::Result {
            match *self {}
        }
    }
    #[automatically_derived]
    impl __eventfold::serde::Serialize for ArchiveCommand {
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
    impl<'de> __eventfold::serde::Deserialize<'de> for ArchiveCommand {
        fn deserialize<__D: __eventfold::serde::Deserializer<'de>>(
            __deserializer: __D,
        ) -> ::core::result::Result<
            Self,
            <__D as __eventfold::serde::Deserializer<'de>>::Error,
        > {
            <Self as __eventfold::CommandSet>::deserialize_tagged(
                "ArchiveCommand",
                __deserializer,
            )
        }
    }
    #[automatically_derived]
    impl __eventfold::CommandSet for ArchiveCommand {
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
    impl __eventfold::DecisionTypes for Archive {
        type DomainEvent = Imported;
        type Error = ::core::convert::Infallible;
    }
    fn __decide(
        __state: &Archive,
        __command: ArchiveCommand,
        __context: &__eventfold::DecisionContext<'_>,
    ) -> ::core::result::Result<::std::vec::Vec<Imported>, ::core::convert::Infallible> {
        match __command {}
    }
    #[automatically_derived]
    impl __eventfold::Aggregate for Archive {
        const AGGREGATE_TYPE: &'static str = "archive";
        const UNKNOWN_EVENTS: __eventfold::UnknownEvents = __eventfold::UnknownEvents::Reject;
        type Command = ArchiveCommand;
        type DomainEvent = Imported;
        type Error = ::core::convert::Infallible;
        fn handle(
            &self,
            __command: ArchiveCommand,
        ) -> ::core::result::Result<
            ::std::vec::Vec<Imported>,
            ::core::convert::Infallible,
        > {
            let __context = ::core::default::Default::default();
            __decide(self, __command, &__context)
        }
        fn handle_with(
            &self,
            __command: ArchiveCommand,
            __context: &__eventfold::DecisionContext<'_>,
        ) -> ::core::result::Result<
            ::std::vec::Vec<Imported>,
            ::core::convert::Infallible,
        > {
            __decide(self, __command, __context)
        }
        fn apply(mut self, __event: &Imported) -> Self {
            <Self as __eventfold::Evolve<Imported>>::evolve(&mut self, __event);
            self
        }
        fn repeat(__command: &ArchiveCommand) -> ::core::option::Option<ArchiveCommand> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<ArchiveCommand>::__copy(__command)
        }
        fn fingerprint(__command: &ArchiveCommand) -> ::core::option::Option<u64> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<ArchiveCommand>::__fingerprint(__command)
        }
        fn encode_event(
            __event: &Imported,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<
            ::std::borrow::Cow<'static, str>,
            __eventfold::EncodeError,
        > {
            <Imported as __eventfold::DomainEvent>::encode(__event, __data)?;
            ::core::result::Result::Ok(
                ::std::borrow::Cow::Borrowed(
                    <Imported as __eventfold::DomainEvent>::name(__event),
                ),
            )
        }
        fn event_version(__event: &Imported) -> ::core::option::Option<u32> {
            ::core::option::Option::Some(
                <Imported as __eventfold::DomainEvent>::schema_version(__event),
            )
        }
        const HAS_TAGS: bool = __eventfold::has_tags(
            <Imported as __eventfold::DomainEvent>::NAMES,
        );
        fn event_tags(
            __event: &Imported,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            <Imported as __eventfold::DomainEvent>::append_tags(__event, __tags)
        }
        fn decode_event(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<Imported>,
            __eventfold::DecodeError,
        > {
            <Imported as __eventfold::DomainEvent>::decode(__stored)
        }
        fn knows_event(__name: &str) -> bool {
            <Imported as __eventfold::DomainEvent>::knows(__name)
        }
        fn __fingerprint() -> u64 {
            __eventfold::fingerprint(<Imported as __eventfold::DomainEvent>::NAMES)
        }
        const __EVENT_NAMES: ::core::option::Option<&'static [__eventfold::EventName]> = ::core::option::Option::Some(
            <Imported as __eventfold::DomainEvent>::NAMES,
        );
        fn __events() -> ::core::option::Option<
            ::std::vec::Vec<__eventfold::EventInfo>,
        > {
            let mut __events = ::std::vec::Vec::new();
            <Imported as __eventfold::DomainEvent>::__about(&mut __events);
            ::core::option::Option::Some(__events)
        }
        fn __commands() -> ::core::option::Option<
            ::std::vec::Vec<__eventfold::CommandInfo>,
        > {
            ::core::option::Option::Some(__eventfold::about_commands(&[]))
        }
    }
};
