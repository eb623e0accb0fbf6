#[event(name = "MoneyDeposited", alias = "Deposited", alias = "deposit")]
struct Deposited(u64);

// Expands to:

#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl ::eventfold_es::__private::DomainEvent for Deposited {
        const NAMES: &'static [::eventfold_es::__private::EventName] = &[
            ::eventfold_es::__private::EventName {
                name: "MoneyDeposited",
                aliases: &["Deposited", "deposit"],
            },
        ];
        fn name(&self) -> &'static str {
            "MoneyDeposited"
        }
        fn encode(
            &self,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), ::eventfold_es::__private::EncodeError> {
            <Self as ::eventfold_es::__private::EventPayload>::encode_struct(
                self,
                "MoneyDeposited",
                __data,
            )
        }
        fn decode(
            __stored: ::eventfold_es::__private::StoredEvent<'_>,
        ) -> ::core::result::Result<Self, ::eventfold_es::__private::DecodeError> {
            match __stored.name() {
                "MoneyDeposited" | "Deposited" | "deposit" => {
                    <Self as ::eventfold_es::__private::EventPayload>::decode_struct(
                        __stored,
                    )
                }
                _ => ::core::result::Result::Err(__stored.unknown()),
            }
        }
    }
};
