#[event(version = 2, upcast(1 = parcel_sent_1))]
pub struct ParcelSent {
    #[subject("customer")]
    pub from: CustomerId,
    #[subject("customer")]
    pub to: CustomerId,
    #[personal(from)]
    pub sender: Personal<String>,
    #[personal(to)]
    pub address: Address,
}

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::Infallible as _;
    #[automatically_derived]
    impl __eventfold::DomainEvent for ParcelSent {
        const NAMES: &'static [__eventfold::EventName] = &[
            __eventfold::EventName {
                name: "ParcelSent",
                aliases: &[],
                version: ::core::option::Option::Some(2),
                tags: &[],
            },
        ];
        fn name(&self) -> &'static str {
            "ParcelSent"
        }
        fn schema_version(&self) -> u32 {
            2
        }
        fn encode(
            &self,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), __eventfold::EncodeError> {
            let __subject_0 = __eventfold::Subject::__of(
                "ParcelSent",
                "customer",
                &self.from,
            )?;
            let __subject_1 = __eventfold::Subject::__of(
                "ParcelSent",
                "customer",
                &self.to,
            )?;
            __subject_0.__owns(&self.sender);
            __subject_1.__owns(&self.address);
            <Self as __eventfold::EventPayload>::encode_struct(
                self,
                "ParcelSent",
                __data,
            )
        }
        fn decode(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<Self>,
            __eventfold::DecodeError,
        > {
            match __stored.name() {
                "ParcelSent" => {
                    let __upcast = __eventfold::Upcast::of(__stored, 2)?;
                    if __eventfold::Upcast::is_current(&__upcast) {
                        return <Self as __eventfold::EventPayload>::decode_struct(
                            __stored,
                        );
                    }
                    let __event = __eventfold::Upcast::first(
                            &__upcast,
                            1,
                            "parcel_sent_1",
                            parcel_sent_1,
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
                        &[(1, "parcel_sent_1")],
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
