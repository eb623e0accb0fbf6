enum CourseEvent {
    Subscribed {
        #[tag]
        course: CourseId,
        #[tag]
        students: Vec<StudentId>,
    },
    Renamed(#[tag("course")] CourseId, String),
    Closed,
}

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotOneTag as _;
    #[automatically_derived]
    impl __eventfold::DomainEvent for CourseEvent {
        const NAMES: &'static [__eventfold::EventName] = &[
            __eventfold::EventName {
                name: "Subscribed",
                aliases: &[],
                version: ::core::option::Option::Some(1),
                tags: &["course", "students"],
            },
            __eventfold::EventName {
                name: "Renamed",
                aliases: &[],
                version: ::core::option::Option::Some(1),
                tags: &["course"],
            },
            __eventfold::EventName {
                name: "Closed",
                aliases: &[],
                version: ::core::option::Option::Some(1),
                tags: &[],
            },
        ];
        fn name(&self) -> &'static str {
            match self {
                Self::Subscribed { .. } => "Subscribed",
                Self::Renamed { .. } => "Renamed",
                Self::Closed { .. } => "Closed",
            }
        }
        fn append_tags(
            &self,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            match self {
                Self::Subscribed { course: __tag_0, students: __tag_1, .. } => {
                    __eventfold::TagOf::<CourseId>::__append("course", __tag_0, __tags)?;
                    __eventfold::TagOf::<
                        Vec<StudentId>,
                    >::__append("students", __tag_1, __tags)?;
                }
                Self::Renamed { 0: __tag_0, .. } => {
                    __eventfold::TagOf::<CourseId>::__append("course", __tag_0, __tags)?;
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
                Self::Subscribed { .. } => {
                    <Self as __eventfold::EventPayload>::encode_variant(
                        self,
                        "Subscribed",
                        "Subscribed",
                        __data,
                    )
                }
                Self::Renamed { .. } => {
                    <Self as __eventfold::EventPayload>::encode_variant(
                        self,
                        "Renamed",
                        "Renamed",
                        __data,
                    )
                }
                Self::Closed { .. } => {
                    <Self as __eventfold::EventPayload>::encode_variant(
                        self,
                        "Closed",
                        "Closed",
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
                "Subscribed" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "Subscribed",
                    )
                }
                "Renamed" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "Renamed",
                    )
                }
                "Closed" => {
                    __eventfold::check_version(__stored, 1)?;
                    <Self as __eventfold::EventPayload>::decode_variant(
                        __stored,
                        "Closed",
                    )
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
                        "Subscribed",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
            __events
                .push(
                    __eventfold::about_variant(
                        &<Self as __eventfold::DomainEvent>::NAMES[1],
                        "Renamed",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
            __events
                .push(
                    __eventfold::about_variant(
                        &<Self as __eventfold::DomainEvent>::NAMES[2],
                        "Closed",
                        &[],
                        __eventfold::SchemaOf::<Self>::__SCHEMA,
                    ),
                );
        }
        __eventfold::__testing! {
            fn __samples() -> ::std::vec::Vec < Self > { use __eventfold::NotMade as _;
            __eventfold::samples([(|| ::core::option::Option::Some(Self::Subscribed {
            course : __eventfold::MadeOfDefault:: < CourseId > ::new().__sample() ?,
            students : __eventfold::MadeOfDefault:: < Vec < StudentId > > ::new()
            .__sample() ? })) (), (|| ::core::option::Option::Some(Self::Renamed { 0 :
            __eventfold::MadeOfDefault:: < CourseId > ::new().__sample() ?, 1 :
            __eventfold::MadeOfDefault:: < String > ::new().__sample() ? })) (), (||
            ::core::option::Option::Some(Self::Closed {})) ()]) }
        }
    }
};
