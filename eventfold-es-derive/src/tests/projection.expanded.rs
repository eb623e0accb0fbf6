#[projection(aggregates(BankAccount))]
pub struct Totals {
    balance: u64,
}

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl __eventfold::Projection for Totals {
        const NAME: &'static str = "totals";
        fn subscriptions(&self) -> &'static [&'static str] {
            const { &[__eventfold::EventSet::of::<BankAccount>().aggregate_type()] }
        }
        fn event_sets() -> &'static [__eventfold::EventSet] {
            const { &[__eventfold::EventSet::of::<BankAccount>()] }
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
            ::core::result::Result::Ok(())
        }
    }
};
