#[event(retired("Paused", "Doubled" = doubled, history::Moved = moved))]
enum CounterEvent {
    #[event(version = 2, upcast(1 = added))]
    Added {
        amount: u64,
    },
    Reset,
}

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::Infallible as _;
    const __EVENTS: &__eventfold::Events = &[
        (
            "CounterEvent",
            &[
                __eventfold::EventName {
                    name: "Added",
                    aliases: &[],
                    version: ::core::option::Option::Some(2),
                    tags: &[],
                },
                __eventfold::EventName {
                    name: "Reset",
                    aliases: &[],
                    version: ::core::option::Option::Some(1),
                    tags: &[],
                },
                __eventfold::EventName {
                    name: "Paused",
                    aliases: &[],
                    version: ::core::option::Option::None,
                    tags: &[],
                },
                __eventfold::EventName {
                    name: "Doubled",
                    aliases: &[],
                    version: ::core::option::Option::None,
                    tags: &[],
                },
            ],
        ),
        (
            "retired(history::Moved)",
            &__eventfold::retired_names::<
                { <history::Moved as __eventfold::DomainEvent>::NAMES.len() },
            >(<history::Moved as __eventfold::DomainEvent>::NAMES),
        ),
    ];
    const __NAMES: [__eventfold::EventName; __eventfold::count_names(__EVENTS)] = __eventfold::concat_names(
        __EVENTS,
    );
    const __SHARED: __eventfold::Shared<2> = __eventfold::shared_names::<
        2,
        { __eventfold::slots(__EVENTS) },
    >(__EVENTS);
    const _: () = __eventfold::assert_names_are_new(
        "CounterEvent",
        __EVENTS,
        &__SHARED,
        1,
    );
    #[automatically_derived]
    impl __eventfold::DomainEvent for CounterEvent {
        const NAMES: &'static [__eventfold::EventName] = &__NAMES;
        fn name(&self) -> &'static str {
            match self {
                Self::Added { .. } => "Added",
                Self::Reset { .. } => "Reset",
            }
        }
        fn schema_version(&self) -> u32 {
            match self {
                Self::Added { .. } => 2,
                _ => 1,
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
                    let __upcast = __eventfold::Upcast::of(__stored, 2)?;
                    if __eventfold::Upcast::is_current(&__upcast) {
                        return <Self as __eventfold::EventPayload>::decode_variant(
                            __stored,
                            "Added",
                        );
                    }
                    let __event = __eventfold::Upcast::first(
                            &__upcast,
                            1,
                            "added",
                            added,
                        )?
                        .__result()?;
                    __eventfold::Upcast::last::<Self, _>(&__upcast, __event)
                }
                "Reset" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "Reset",
                    )
                }
                _ => {
                    if __stored.name() == "Paused" {
                        return ::core::result::Result::Ok(__eventfold::Decoded::none());
                    }
                    if __stored.name() == "Doubled" {
                        let __upcast = __eventfold::Upcast::of(__stored, 1)?;
                        let __event = __eventfold::Upcast::first(
                                &__upcast,
                                1,
                                "doubled",
                                doubled,
                            )?
                            .__result()?;
                        return __eventfold::Upcast::last::<Self, _>(&__upcast, __event);
                    }
                    if <history::Moved as __eventfold::DomainEvent>::knows(
                        __stored.name(),
                    ) {
                        let __upcast = __eventfold::Upcast::any(__stored)?;
                        let mut __events = ::std::vec::Vec::new();
                        for __event in <history::Moved as __eventfold::DomainEvent>::decode(
                            __stored,
                        )? {
                            let __event = __eventfold::Upcast::retired(
                                    &__upcast,
                                    "moved",
                                    moved,
                                    __event,
                                )
                                .__result()?;
                            ::core::iter::Extend::extend(
                                &mut __events,
                                __eventfold::Upcast::last::<Self, _>(&__upcast, __event)?,
                            );
                        }
                        return ::core::result::Result::Ok(
                            __eventfold::Decoded::many(__events),
                        );
                    }
                    ::core::result::Result::Err(__stored.unknown())
                }
            }
        }
        fn __about(__events: &mut ::std::vec::Vec<__eventfold::EventInfo>) {
            use __eventfold::NoSchema as _;
            __events
                .push(
                    __eventfold::about_variant(
                        &<Self as __eventfold::DomainEvent>::NAMES[0],
                        "Added",
                        &[(1, "added")],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
            __events
                .push(
                    __eventfold::about_variant(
                        &<Self as __eventfold::DomainEvent>::NAMES[1],
                        "Reset",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
            __eventfold::add_retired(__events, "Paused", ::core::option::Option::None);
            __eventfold::add_retired(
                __events,
                "Doubled",
                ::core::option::Option::Some("doubled"),
            );
            __eventfold::add_retired_type(
                __events,
                <history::Moved as __eventfold::DomainEvent>::__about,
                ::core::option::Option::Some("moved"),
            );
        }
        __eventfold::__testing! {
            fn __samples() -> ::std::vec::Vec < Self > { use __eventfold::NotMade as _;
            __eventfold::samples([(|| ::core::option::Option::Some(Self::Added { amount :
            __eventfold::MadeOfDefault:: < u64 > ::new().__sample() ? })) (), (||
            ::core::option::Option::Some(Self::Reset {})) ()]) }
        }
    }
};
