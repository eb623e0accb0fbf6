pub struct CustomerRegistered {
    #[subject]
    pub customer: CustomerId,
    pub name: Personal<String>,
    pub email: Option<Personal<String>>,
}

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    #[automatically_derived]
    impl __eventfold::DomainEvent for CustomerRegistered {
        const NAMES: &'static [__eventfold::EventName] = &[
            __eventfold::EventName {
                name: "CustomerRegistered",
                aliases: &[],
                version: ::core::option::Option::Some(1),
                tags: &[],
            },
        ];
        fn name(&self) -> &'static str {
            "CustomerRegistered"
        }
        fn encode(
            &self,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), __eventfold::EncodeError> {
            let __subject_0 = __eventfold::Subject::__of(
                "CustomerRegistered",
                "customer",
                &self.customer,
            )?;
            __subject_0
                .__during(|| <Self as __eventfold::EventPayload>::encode_struct(
                    self,
                    "CustomerRegistered",
                    __data,
                ))
        }
        fn decode(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<Self>,
            __eventfold::DecodeError,
        > {
            match __stored.name() {
                "CustomerRegistered" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_struct(__stored)
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
                        &[],
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
