struct Transferred {
    #[tag("account")]
    from: AccountId,
    #[tag("account")]
    to: AccountId,
    #[tag]
    #[tag("label")]
    r#type: Option<String>,
    amount: u64,
}

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotOneTag as _;
    #[automatically_derived]
    impl __eventfold::DomainEvent for Transferred {
        const NAMES: &'static [__eventfold::EventName] = &[
            __eventfold::EventName {
                name: "Transferred",
                aliases: &[],
                version: ::core::option::Option::Some(1),
                tags: &["account", "type", "label"],
            },
        ];
        fn name(&self) -> &'static str {
            "Transferred"
        }
        fn append_tags(
            &self,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            __eventfold::TagOf::<AccountId>::__append("account", &self.from, __tags)?;
            __eventfold::TagOf::<AccountId>::__append("account", &self.to, __tags)?;
            __eventfold::TagOf::<
                Option<String>,
            >::__append("type", &self.r#type, __tags)?;
            __eventfold::TagOf::<
                Option<String>,
            >::__append("label", &self.r#type, __tags)?;
            ::core::result::Result::Ok(())
        }
        fn encode(
            &self,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), __eventfold::EncodeError> {
            <Self as __eventfold::EventPayload>::encode_struct(
                self,
                "Transferred",
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
                "Transferred" => {
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
