#[event(alias = "deposit", version = 3, upcast(2 = Self::from_v2, 1 = history::v1_to_v2))]
struct Deposited {
    cents: u64,
}

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::Infallible as _;
    #[automatically_derived]
    impl __eventfold::DomainEvent for Deposited {
        const NAMES: &'static [__eventfold::EventName] = &[
            __eventfold::EventName {
                name: "Deposited",
                aliases: &["deposit"],
                version: ::core::option::Option::Some(3),
                tags: &[],
            },
        ];
        fn name(&self) -> &'static str {
            "Deposited"
        }
        fn schema_version(&self) -> u32 {
            3
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
                "Deposited" | "deposit" => {
                    let __upcast = __eventfold::Upcast::of(__stored, 3)?;
                    if __eventfold::Upcast::is_current(&__upcast) {
                        return <Self as __eventfold::EventPayload>::decode_struct(
                            __stored,
                        );
                    }
                    let __event = __eventfold::Upcast::first(
                            &__upcast,
                            1,
                            "history::v1_to_v2",
                            history::v1_to_v2,
                        )?
                        .__result()?;
                    let __event = __eventfold::Upcast::then(
                            &__upcast,
                            2,
                            "Self::from_v2",
                            Self::from_v2,
                            __event,
                        )?
                        .__result()?;
                    __eventfold::Upcast::last::<Self, _>(&__upcast, __event)
                }
                _ => ::core::result::Result::Err(__stored.unknown()),
            }
        }
        fn __about(__events: &mut ::std::vec::Vec<__eventfold::EventInfo>) {
            use __eventfold::NoSchema as _;
            __events
                .push(
                    __eventfold::about_event(
                        &<Self as __eventfold::DomainEvent>::NAMES[0],
                        &[(1, "history::v1_to_v2"), (2, "Self::from_v2")],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
        }
        __eventfold::__testing! {
            fn __samples() -> ::std::vec::Vec < Self > { use __eventfold::NotMade as _;
            __eventfold::samples([__eventfold::MadeOfDefault:: < Self > ::new()
            .__sample()]) }
        }
    }
};
