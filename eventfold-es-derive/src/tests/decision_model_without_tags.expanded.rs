#[decision_model(events(InvoiceNumbered))]
struct LastNumber(u64);

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    const __EVENTS: &__eventfold::Events = &[
        ("InvoiceNumbered", <InvoiceNumbered as __eventfold::DomainEvent>::NAMES),
    ];
    const __NAMES: [__eventfold::EventName; __eventfold::count_names(__EVENTS)] = __eventfold::concat_names(
        __EVENTS,
    );
    #[automatically_derived]
    impl __eventfold::DecisionModel for LastNumber {
        const TAGS: &'static [&'static str] = &[];
        const EVENTS: &'static [__eventfold::EventName] = &__NAMES;
        fn apply_stored(
            &mut self,
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<(), __eventfold::DecodeError> {
            if <InvoiceNumbered as __eventfold::DomainEvent>::knows(__stored.name()) {
                return __eventfold::ListedEvent::<
                    InvoiceNumbered,
                >::__fold(self, __stored);
            }
            ::core::result::Result::Err(__stored.unknown())
        }
    }
};
