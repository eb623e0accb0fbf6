#[decision_model(tags("course", "student"), events(Subscribed), crate = ::framework::eventfold_es)]
enum Seat {
    Free,
    Taken,
}

// Expands to:

const _: () = {
    use ::framework::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    const __EVENTS: &__eventfold::Events = &[
        ("Subscribed", <Subscribed as __eventfold::DomainEvent>::NAMES),
    ];
    const __NAMES: [__eventfold::EventName; __eventfold::count_names(__EVENTS)] = __eventfold::concat_names(
        __EVENTS,
    );
    const _: () = __eventfold::assert_event_has_tags(
        "Seat",
        "Subscribed",
        <Subscribed as __eventfold::DomainEvent>::NAMES,
        &["course", "student"],
    );
    #[automatically_derived]
    impl __eventfold::DecisionModel for Seat {
        const TAGS: &'static [&'static str] = &["course", "student"];
        const EVENTS: &'static [__eventfold::EventName] = &__NAMES;
        fn apply_stored(
            &mut self,
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<(), __eventfold::DecodeError> {
            if <Subscribed as __eventfold::DomainEvent>::knows(__stored.name()) {
                return __eventfold::ListedEvent::<Subscribed>::__fold(self, __stored);
            }
            ::core::result::Result::Err(__stored.unknown())
        }
    }
};
