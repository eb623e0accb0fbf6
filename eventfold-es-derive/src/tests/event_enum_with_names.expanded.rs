#[event(rename_all = "kebab-case", crate = framework::eventfold_es)]
enum CounterEvent {
    #[event(alias = "Added")]
    WasAdded { amount: u64 },
    #[event(name = "reset", alias = "Reset", alias = "cleared")]
    WasReset,
    r#Move,
}

// Expands to:

#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl framework::eventfold_es::__private::DomainEvent for CounterEvent {
        const NAMES: &'static [framework::eventfold_es::__private::EventName] = &[
            framework::eventfold_es::__private::EventName {
                name: "was-added",
                aliases: &["Added"],
            },
            framework::eventfold_es::__private::EventName {
                name: "reset",
                aliases: &["Reset", "cleared"],
            },
            framework::eventfold_es::__private::EventName {
                name: "move",
                aliases: &[],
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
        ) -> ::core::result::Result<
            (),
            framework::eventfold_es::__private::EncodeError,
        > {
            match self {
                Self::WasAdded { .. } => {
                    <Self as framework::eventfold_es::__private::EventPayload>::encode_variant(
                        self,
                        "WasAdded",
                        "was-added",
                        __data,
                    )
                }
                Self::WasReset { .. } => {
                    <Self as framework::eventfold_es::__private::EventPayload>::encode_variant(
                        self,
                        "WasReset",
                        "reset",
                        __data,
                    )
                }
                Self::r#Move { .. } => {
                    <Self as framework::eventfold_es::__private::EventPayload>::encode_variant(
                        self,
                        "Move",
                        "move",
                        __data,
                    )
                }
            }
        }
        fn decode(
            __stored: framework::eventfold_es::__private::StoredEvent<'_>,
        ) -> ::core::result::Result<
            Self,
            framework::eventfold_es::__private::DecodeError,
        > {
            match __stored.name() {
                "was-added" | "Added" => {
                    <Self as framework::eventfold_es::__private::EventPayload>::decode_variant(
                        __stored,
                        "WasAdded",
                    )
                }
                "reset" | "Reset" | "cleared" => {
                    <Self as framework::eventfold_es::__private::EventPayload>::decode_variant(
                        __stored,
                        "WasReset",
                    )
                }
                "move" => {
                    <Self as framework::eventfold_es::__private::EventPayload>::decode_variant(
                        __stored,
                        "Move",
                    )
                }
                _ => ::core::result::Result::Err(__stored.unknown()),
            }
        }
    }
};
