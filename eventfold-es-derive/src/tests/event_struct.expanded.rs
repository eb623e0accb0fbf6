struct Deposited {
    amount: u64,
}

// Expands to:

#[allow(deprecated)]
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    #[automatically_derived]
    impl __eventfold::DomainEvent for Deposited {
        const NAMES: &'static [__eventfold::EventName] = &[
            __eventfold::EventName {
                name: "Deposited",
                aliases: &[],
            },
        ];
        fn name(&self) -> &'static str {
            "Deposited"
        }
        fn encode(
            &self,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), __eventfold::EncodeError> {
            <Self as __eventfold::EventPayload>::encode_struct(self, "Deposited", __data)
        }
        fn decode(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<Self>,
            __eventfold::DecodeError,
        > {
            match __stored.name() {
                "Deposited" => {
                    <Self as __eventfold::EventPayload>::decode_struct(__stored)
                }
                _ => ::core::result::Result::Err(__stored.unknown()),
            }
        }
    }
};
