#[event(rename_all = "kebab-case", crate = framework::eventfold_es)]
enum CounterEvent {
    #[event(alias = "Added")]
    WasAdded { amount: u64 },
    #[event(name = "reset", alias = "Reset", alias = "cleared")]
    WasReset,
    r#Move,
}

// Expands to:

const _: () = {
    use framework::eventfold_es::__private as __eventfold;
    #[automatically_derived]
    impl __eventfold::DomainEvent for CounterEvent {
        const NAMES: &'static [__eventfold::EventName] = &[
            __eventfold::EventName {
                name: "was-added",
                aliases: &["Added"],
                version: ::core::option::Option::Some(1),
                tags: &[],
            },
            __eventfold::EventName {
                name: "reset",
                aliases: &["Reset", "cleared"],
                version: ::core::option::Option::Some(1),
                tags: &[],
            },
            __eventfold::EventName {
                name: "move",
                aliases: &[],
                version: ::core::option::Option::Some(1),
                tags: &[],
            },
        ];
        fn name(&self) -> &'static str {
            match self {
                Self::WasAdded { .. } => "was-added",
                Self::WasReset { .. } => "reset",
                Self::r#Move { .. } => "move",
            }
        }
        fn encode(
            &self,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), __eventfold::EncodeError> {
            match self {
                Self::WasAdded { .. } => {
                    <Self as __eventfold::EventPayload>::encode_variant(
                        self,
                        "WasAdded",
                        "was-added",
                        __data,
                    )
                }
                Self::WasReset { .. } => {
                    <Self as __eventfold::EventPayload>::encode_variant(
                        self,
                        "WasReset",
                        "reset",
                        __data,
                    )
                }
                Self::r#Move { .. } => {
                    <Self as __eventfold::EventPayload>::encode_variant(
                        self,
                        "Move",
                        "move",
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
            match __stored.name() {
                "was-added" | "Added" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "WasAdded",
                    )
                }
                "reset" | "Reset" | "cleared" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "WasReset",
                    )
                }
                "move" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(__stored, "Move")
                }
                _ => ::core::result::Result::Err(__stored.unknown()),
            }
        }
        fn __about(__events: &mut ::std::vec::Vec<__eventfold::EventInfo>) {
            use __eventfold::NoSchema as _;
            __events
                .push(
                    __eventfold::about_variant(
                        &<Self as __eventfold::DomainEvent>::NAMES[0],
                        "WasAdded",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
            __events
                .push(
                    __eventfold::about_variant(
                        &<Self as __eventfold::DomainEvent>::NAMES[1],
                        "WasReset",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
            __events
                .push(
                    __eventfold::about_variant(
                        &<Self as __eventfold::DomainEvent>::NAMES[2],
                        "Move",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
        }
        __eventfold::__testing! {
            fn __samples() -> ::std::vec::Vec < Self > { use __eventfold::NotMade as _;
            __eventfold::samples([(|| ::core::option::Option::Some(Self::WasAdded {
            amount : __eventfold::MadeOfDefault:: < u64 > ::new().__sample() ? })) (),
            (|| ::core::option::Option::Some(Self::WasReset {})) (), (||
            ::core::option::Option::Some(Self::r#Move {})) ()]) }
        }
    }
};
