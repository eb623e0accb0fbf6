#[projection(aggregates(BankAccount), events(CourseDefined, courses::Subscribed))]
struct Courses;

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    const _: () = {
        const __EVENTS: &__eventfold::Events = &[
            ("CourseDefined", <CourseDefined as __eventfold::DomainEvent>::NAMES),
            (
                "courses::Subscribed",
                <courses::Subscribed as __eventfold::DomainEvent>::NAMES,
            ),
        ];
        const __SHARED: __eventfold::Shared<2> = __eventfold::shared_names::<
            2,
            { __eventfold::slots(__EVENTS) },
        >(__EVENTS);
        const _: () = __eventfold::assert_names_are_new(
            "Courses",
            __EVENTS,
            &__SHARED,
            1,
        );
    };
    #[automatically_derived]
    impl __eventfold::Projection for Courses {
        const NAME: &'static str = "courses";
        fn subscriptions(&self) -> &'static [&'static str] {
            const { &[__eventfold::EventSet::of::<BankAccount>().aggregate_type(), ""] }
        }
        fn event_sets() -> &'static [__eventfold::EventSet] {
            const {
                &[
                    __eventfold::EventSet::of::<BankAccount>(),
                    __eventfold::EventSet::of_event(
                        <CourseDefined as __eventfold::DomainEvent>::knows,
                        || __eventfold::fingerprint(
                            <CourseDefined as __eventfold::DomainEvent>::NAMES,
                        ),
                        <CourseDefined as __eventfold::DomainEvent>::__about,
                    ),
                    __eventfold::EventSet::of_event(
                        <courses::Subscribed as __eventfold::DomainEvent>::knows,
                        || __eventfold::fingerprint(
                            <courses::Subscribed as __eventfold::DomainEvent>::NAMES,
                        ),
                        <courses::Subscribed as __eventfold::DomainEvent>::__about,
                    ),
                ]
            }
        }
        fn apply(
            &mut self,
            __aggregate_type: &str,
            __id: &str,
            __event: &__eventfold::eventfold::Event,
        ) {
            __eventfold::apply_eventfold(self, __aggregate_type, __id, __event);
        }
        fn apply_stored(
            &mut self,
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<(), __eventfold::DecodeError> {
            let __aggregate_type = __stored.record().aggregate_type();
            if __aggregate_type
                == __eventfold::EventSet::of::<BankAccount>().aggregate_type()
            {
                return __eventfold::ListedAggregate::<
                    BankAccount,
                >::__project(self, __stored);
            }
            if __aggregate_type.is_empty()
                && <CourseDefined as __eventfold::DomainEvent>::knows(__stored.name())
            {
                return __eventfold::ListedEvent::<CourseDefined>::__fold(self, __stored);
            }
            if __aggregate_type.is_empty()
                && <courses::Subscribed as __eventfold::DomainEvent>::knows(
                    __stored.name(),
                )
            {
                return __eventfold::ListedEvent::<
                    courses::Subscribed,
                >::__fold(self, __stored);
            }
            ::core::result::Result::Ok(())
        }
    }
};
