enum CounterEvent {
    Added { amount: u64 },
    Scaled(u64),
    Reset,
}

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    #[automatically_derived]
    impl __eventfold::DomainEvent for CounterEvent {
        const NAMES: &'static [__eventfold::EventName] = &[
            __eventfold::EventName {
                name: "Added",
                aliases: &[],
                version: ::core::option::Option::Some(1),
                tags: &[],
            },
            __eventfold::EventName {
                name: "Scaled",
                aliases: &[],
                version: ::core::option::Option::Some(1),
                tags: &[],
            },
            __eventfold::EventName {
                name: "Reset",
                aliases: &[],
                version: ::core::option::Option::Some(1),
                tags: &[],
            },
        ];
        fn name(&self) -> &'static str {
            match self {
                Self::Added { .. } => "Added",
                Self::Scaled { .. } => "Scaled",
                Self::Reset { .. } => "Reset",
            }
        }
        fn encode(
            &self,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), __eventfold::EncodeError> {
            match self {
                Self::Added { .. } => {
                    <Self as __eventfold::EventPayload>::encode_variant(
                        self,
                        "Added",
                        "Added",
                        __data,
                    )
                }
                Self::Scaled { .. } => {
                    <Self as __eventfold::EventPayload>::encode_variant(
                        self,
                        "Scaled",
                        "Scaled",
                        __data,
                    )
                }
                Self::Reset { .. } => {
                    <Self as __eventfold::EventPayload>::encode_variant(
                        self,
                        "Reset",
                        "Reset",
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
                "Added" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "Added",
                    )
                }
                "Scaled" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "Scaled",
                    )
                }
                "Reset" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "Reset",
                    )
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
                        "Added",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
            __events
                .push(
                    __eventfold::about_variant(
                        &<Self as __eventfold::DomainEvent>::NAMES[1],
                        "Scaled",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
            __events
                .push(
                    __eventfold::about_variant(
                        &<Self as __eventfold::DomainEvent>::NAMES[2],
                        "Reset",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
        }
        __eventfold::__testing! {
            fn __samples() -> ::std::vec::Vec < Self > { use __eventfold::NotMade as _;
            __eventfold::samples([(|| ::core::option::Option::Some(Self::Added { amount :
            __eventfold::MadeOfDefault:: < u64 > ::new().__sample() ? })) (), (||
            ::core::option::Option::Some(Self::Scaled { 0 : __eventfold::MadeOfDefault::
            < u64 > ::new().__sample() ? })) (), (||
            ::core::option::Option::Some(Self::Reset {})) ()]) }
        }
    }
};
