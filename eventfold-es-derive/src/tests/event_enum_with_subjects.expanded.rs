pub enum CustomerEvent {
    Registered {
        #[subject]
        #[tag]
        customer: CustomerId,
        name: Personal<String>,
    },
    Introduced(
        #[subject("customer")] CustomerId,
        #[subject("customer")] CustomerId,
        #[personal(1)] Personal<String>,
    ),
    Left,
}

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotOneTag as _;
    #[automatically_derived]
    impl __eventfold::DomainEvent for CustomerEvent {
        const NAMES: &'static [__eventfold::EventName] = &[
            __eventfold::EventName {
                name: "Registered",
                aliases: &[],
                version: ::core::option::Option::Some(1),
                tags: &["customer"],
            },
            __eventfold::EventName {
                name: "Introduced",
                aliases: &[],
                version: ::core::option::Option::Some(1),
                tags: &[],
            },
            __eventfold::EventName {
                name: "Left",
                aliases: &[],
                version: ::core::option::Option::Some(1),
                tags: &[],
            },
        ];
        fn name(&self) -> &'static str {
            match self {
                Self::Registered { .. } => "Registered",
                Self::Introduced { .. } => "Introduced",
                Self::Left { .. } => "Left",
            }
        }
        fn append_tags(
            &self,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            match self {
                Self::Registered { customer: __tag_0, .. } => {
                    __eventfold::TagOf::<
                        CustomerId,
                    >::__append("customer", __tag_0, __tags)?;
                }
                _ => {}
            }
            ::core::result::Result::Ok(())
        }
        fn encode(
            &self,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), __eventfold::EncodeError> {
            match self {
                Self::Registered { customer: __field_0, .. } => {
                    let __subject_0 = __eventfold::Subject::__of(
                        "Registered",
                        "customer",
                        __field_0,
                    )?;
                    __subject_0
                        .__during(|| <Self as __eventfold::EventPayload>::encode_variant(
                            self,
                            "Registered",
                            "Registered",
                            __data,
                        ))
                }
                Self::Introduced { 0: __field_0, 1: __field_1, 2: __field_2, .. } => {
                    let __subject_0 = __eventfold::Subject::__of(
                        "Introduced",
                        "customer",
                        __field_0,
                    )?;
                    let __subject_1 = __eventfold::Subject::__of(
                        "Introduced",
                        "customer",
                        __field_1,
                    )?;
                    __subject_1.__owns(__field_2);
                    <Self as __eventfold::EventPayload>::encode_variant(
                        self,
                        "Introduced",
                        "Introduced",
                        __data,
                    )
                }
                Self::Left { .. } => {
                    <Self as __eventfold::EventPayload>::encode_variant(
                        self,
                        "Left",
                        "Left",
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
                "Registered" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "Registered",
                    )
                }
                "Introduced" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "Introduced",
                    )
                }
                "Left" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(__stored, "Left")
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
                        "Registered",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
            __events
                .push(
                    __eventfold::about_variant(
                        &<Self as __eventfold::DomainEvent>::NAMES[1],
                        "Introduced",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
            __events
                .push(
                    __eventfold::about_variant(
                        &<Self as __eventfold::DomainEvent>::NAMES[2],
                        "Left",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
        }
        __eventfold::__testing! {
            fn __samples() -> ::std::vec::Vec < Self > { use __eventfold::NotMade as _;
            __eventfold::samples([(|| ::core::option::Option::Some(Self::Registered {
            customer : __eventfold::MadeOfDefault:: < CustomerId > ::new().__sample() ?,
            name : __eventfold::MadeOfDefault:: < Personal < String > > ::new()
            .__sample() ? })) (), (|| ::core::option::Option::Some(Self::Introduced { 0 :
            __eventfold::MadeOfDefault:: < CustomerId > ::new().__sample() ?, 1 :
            __eventfold::MadeOfDefault:: < CustomerId > ::new().__sample() ?, 2 :
            __eventfold::MadeOfDefault:: < Personal < String > > ::new().__sample() ? }))
            (), (|| ::core::option::Option::Some(Self::Left {})) ()]) }
        }
    }
};
