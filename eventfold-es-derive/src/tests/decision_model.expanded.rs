#[decision_model(tag = "course", events(CourseDefined, events::Subscribed))]
struct Seats {
    capacity: u32,
    taken: u32,
}

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    const __EVENTS: &__eventfold::Events = &[
        ("CourseDefined", <CourseDefined as __eventfold::DomainEvent>::NAMES),
        ("events::Subscribed", <events::Subscribed as __eventfold::DomainEvent>::NAMES),
    ];
    const __NAMES: [__eventfold::EventName; __eventfold::count_names(__EVENTS)] = __eventfold::concat_names(
        __EVENTS,
    );
    const __SHARED: __eventfold::Shared<2> = __eventfold::shared_names::<
        2,
        { __eventfold::slots(__EVENTS) },
    >(__EVENTS);
    const _: () = __eventfold::assert_names_are_new("Seats", __EVENTS, &__SHARED, 1);
    const _: () = __eventfold::assert_event_has_tags(
        "Seats",
        "CourseDefined",
        <CourseDefined as __eventfold::DomainEvent>::NAMES,
        &["course"],
    );
    const _: () = __eventfold::assert_event_has_tags(
        "Seats",
        "events::Subscribed",
        <events::Subscribed as __eventfold::DomainEvent>::NAMES,
        &["course"],
    );
    #[automatically_derived]
    impl __eventfold::DecisionModel for Seats {
        const TAGS: &'static [&'static str] = &["course"];
        const EVENTS: &'static [__eventfold::EventName] = &__NAMES;
        fn apply_stored(
            &mut self,
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<(), __eventfold::DecodeError> {
            if <CourseDefined as __eventfold::DomainEvent>::knows(__stored.name()) {
                return __eventfold::ListedEvent::<CourseDefined>::__fold(self, __stored);
            }
            if <events::Subscribed as __eventfold::DomainEvent>::knows(__stored.name()) {
                return __eventfold::ListedEvent::<
                    events::Subscribed,
                >::__fold(self, __stored);
            }
            ::core::result::Result::Err(__stored.unknown())
        }
    }
};
