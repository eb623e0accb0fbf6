#[projection(name = "orders", aggregates(Order), events(CourseDefined), version = 2)]
struct Orders;

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl __eventfold::SqlProjection for Orders {
        const NAME: &'static str = "orders";
        const VERSION: u32 = 2;
        fn subscriptions() -> &'static [&'static str] {
            const { &[__eventfold::EventSet::of::<Order>().aggregate_type(), ""] }
        }
        fn event_sets() -> &'static [__eventfold::EventSet] {
            const {
                &[
                    __eventfold::EventSet::of::<Order>(),
                    __eventfold::EventSet::of_event(
                        <CourseDefined as __eventfold::DomainEvent>::knows,
                        || __eventfold::fingerprint(
                            <CourseDefined as __eventfold::DomainEvent>::NAMES,
                        ),
                        <CourseDefined as __eventfold::DomainEvent>::__about,
                    ),
                ]
            }
        }
        fn project_stored(
            &self,
            __tx: &__eventfold::rusqlite::Transaction<'_>,
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<(), __eventfold::SqlRefusal> {
            let __aggregate_type = __stored.record().aggregate_type();
            if __aggregate_type == __eventfold::EventSet::of::<Order>().aggregate_type()
            {
                return __eventfold::ListedAggregate::<
                    Order,
                >::__project_sql(self, __tx, __stored);
            }
            if __aggregate_type.is_empty()
                && <CourseDefined as __eventfold::DomainEvent>::knows(__stored.name())
            {
                return __eventfold::ListedEvent::<
                    CourseDefined,
                >::__project_sql(self, __tx, __stored);
            }
            ::core::result::Result::Ok(())
        }
    }
};
