#[decision_model(aggregate = bank::Account, events(Deposited))]
struct Balance(u64);

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    const __EVENTS: &__eventfold::Events = &[
        ("Deposited", <Deposited as __eventfold::DomainEvent>::NAMES),
    ];
    const __NAMES: [__eventfold::EventName; __eventfold::count_names(__EVENTS)] = __eventfold::concat_names(
        __EVENTS,
    );
    const _: () = __eventfold::assert_event_is_of(
        "Balance",
        "Deposited",
        <Deposited as __eventfold::DomainEvent>::NAMES,
        (
            "bank::Account",
            <bank::Account as __eventfold::Aggregate>::AGGREGATE_TYPE,
            <bank::Account as __eventfold::Aggregate>::__EVENT_NAMES,
        ),
    );
    #[automatically_derived]
    impl __eventfold::DecisionModel for Balance {
        const TAGS: &'static [&'static str] = &[
            <bank::Account as __eventfold::Aggregate>::AGGREGATE_TYPE,
        ];
        const EVENTS: &'static [__eventfold::EventName] = &__NAMES;
        const __IS_OF_AGGREGATE: bool = true;
        fn apply_stored(
            &mut self,
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<(), __eventfold::DecodeError> {
            if <Deposited as __eventfold::DomainEvent>::knows(__stored.name()) {
                return __eventfold::ListedEvent::<Deposited>::__fold(self, __stored);
            }
            ::core::result::Result::Err(__stored.unknown())
        }
    }
};
