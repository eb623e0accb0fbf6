#[aggregate(commands(), event = Imported)]
struct Archive;

// Expands to:

/// The commands of `Archive`.
#[allow(deprecated)]
#[derive(::core::fmt::Debug, ::core::clone::Clone)]
enum ArchiveCommand {}
#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl ::eventfold_es::__private::serde::Serialize for ArchiveCommand {
        fn serialize<__S: ::eventfold_es::__private::serde::Serializer>(
            &self,
            __serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error> {
            match *self {}
        }
    }
    #[automatically_derived]
    impl<'de> ::eventfold_es::__private::serde::Deserialize<'de> for ArchiveCommand {
        fn deserialize<__D: ::eventfold_es::__private::serde::Deserializer<'de>>(
            __deserializer: __D,
        ) -> ::core::result::Result<Self, __D::Error> {
            <Self as ::eventfold_es::__private::CommandSet>::deserialize_tagged(
                "ArchiveCommand",
                __deserializer,
            )
        }
    }
    #[automatically_derived]
    impl ::eventfold_es::__private::CommandSet for ArchiveCommand {
        const NAMES: &'static [&'static str] = &[];
        fn deserialize_named<
            'de,
            __D: ::eventfold_es::__private::serde::Deserializer<'de>,
        >(
            __name: &'static str,
            __data: __D,
        ) -> ::core::result::Result<Self, __D::Error> {
            match __name {
                _ => {
                    ::core::result::Result::Err(
                        <__D::Error as ::eventfold_es::__private::serde::de::Error>::unknown_variant(
                            __name,
                            <Self as ::eventfold_es::__private::CommandSet>::NAMES,
                        ),
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl ::eventfold_es::__private::Aggregate for Archive {
        const AGGREGATE_TYPE: &'static str = "archive";
        const UNKNOWN_EVENTS: ::eventfold_es::__private::UnknownEvents = ::eventfold_es::__private::UnknownEvents::Reject;
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
            match __command {}
        }
        fn apply(mut self, __event: &Imported) -> Self {
            <Self as ::eventfold_es::__private::Evolve<
                Imported,
            >>::evolve(&mut self, __event);
            self
        }
        fn encode_event(
            __event: &Imported,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<
            ::std::borrow::Cow<'static, str>,
            ::eventfold_es::__private::EncodeError,
        > {
            <Imported as ::eventfold_es::__private::DomainEvent>::encode(
                __event,
                __data,
            )?;
            ::core::result::Result::Ok(
                ::std::borrow::Cow::Borrowed(
                    <Imported as ::eventfold_es::__private::DomainEvent>::name(__event),
                ),
            )
        }
        fn decode_event(
            __stored: ::eventfold_es::__private::StoredEvent<'_>,
        ) -> ::core::result::Result<Imported, ::eventfold_es::__private::DecodeError> {
            <Imported as ::eventfold_es::__private::DomainEvent>::decode(__stored)
        }
        fn knows_event(__name: &str) -> bool {
            <Imported as ::eventfold_es::__private::DomainEvent>::knows(__name)
        }
    }
};
