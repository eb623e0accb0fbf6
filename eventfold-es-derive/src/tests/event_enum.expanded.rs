enum CounterEvent {
    Added { amount: u64 },
    Scaled(u64),
    Reset,
}

// Expands to:

#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl ::eventfold_es::__private::DomainEvent for CounterEvent {
        const NAMES: &'static [::eventfold_es::__private::EventName] = &[
            ::eventfold_es::__private::EventName {
                name: "Added",
                aliases: &[],
            },
            ::eventfold_es::__private::EventName {
                name: "Scaled",
                aliases: &[],
            },
            ::eventfold_es::__private::EventName {
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
        ) -> ::core::result::Result<(), ::eventfold_es::__private::EncodeError> {
            match self {
                Self::Added { .. } => {
                    <Self as ::eventfold_es::__private::EventPayload>::encode_variant(
                        self,
                        "Added",
                        "Added",
                        __data,
                    )
                }
                Self::Scaled { .. } => {
                    <Self as ::eventfold_es::__private::EventPayload>::encode_variant(
                        self,
                        "Scaled",
                        "Scaled",
                        __data,
                    )
                }
                Self::Reset { .. } => {
                    <Self as ::eventfold_es::__private::EventPayload>::encode_variant(
                        self,
                        "Reset",
                        "Reset",
                        __data,
                    )
                }
            }
        }
        fn decode(
            __stored: ::eventfold_es::__private::StoredEvent<'_>,
        ) -> ::core::result::Result<Self, ::eventfold_es::__private::DecodeError> {
            match __stored.name() {
                "Added" => {
                    <Self as ::eventfold_es::__private::EventPayload>::decode_variant(
                        __stored,
                        "Added",
                    )
                }
                "Scaled" => {
                    <Self as ::eventfold_es::__private::EventPayload>::decode_variant(
                        __stored,
                        "Scaled",
                    )
                }
                "Reset" => {
                    <Self as ::eventfold_es::__private::EventPayload>::decode_variant(
                        __stored,
                        "Reset",
                    )
                }
                _ => ::core::result::Result::Err(__stored.unknown()),
            }
        }
    }
};
