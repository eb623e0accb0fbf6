enum CounterEvent {
    Added { amount: u64 },
    Scaled(u64),
    Reset,
}

// Expands to:

#[allow(deprecated)]
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    #[automatically_derived]
    impl __eventfold::DomainEvent for CounterEvent {
        const NAMES: &'static [__eventfold::EventName] = &[
            __eventfold::EventName {
                name: "Added",
                aliases: &[],
            },
            __eventfold::EventName {
                name: "Scaled",
                aliases: &[],
            },
            __eventfold::EventName {
                name: "Reset",
                aliases: &[],
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
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "Added",
                    )
                }
                "Scaled" => {
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "Scaled",
                    )
                }
                "Reset" => {
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "Reset",
                    )
                }
                _ => ::core::result::Result::Err(__stored.unknown()),
            }
        }
    }
};
