#[projection(
    name = "sums",
    aggregates(BankAccount, loans::Loan),
    version = 2,
    crate = ::framework::eventfold_es,
)]
pub(crate) enum Totals {
    Empty,
    Some(u64),
}

// Expands to:

const _: () = {
    use ::framework::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    const __AGGREGATES: &__eventfold::Events = &[
        (
            "BankAccount",
            &[
                __eventfold::aggregate_name(
                    __eventfold::EventSet::of::<BankAccount>().aggregate_type(),
                ),
            ],
        ),
        (
            "loans::Loan",
            &[
                __eventfold::aggregate_name(
                    __eventfold::EventSet::of::<loans::Loan>().aggregate_type(),
                ),
            ],
        ),
    ];
    const __SHARED: __eventfold::Shared<2> = __eventfold::shared_names::<
        2,
        { __eventfold::slots(__AGGREGATES) },
    >(__AGGREGATES);
    const _: () = __eventfold::assert_type_is_new("Totals", __AGGREGATES, &__SHARED, 1);
    #[automatically_derived]
    impl __eventfold::Projection for Totals {
        const NAME: &'static str = "sums";
        const VERSION: u32 = 2;
        fn subscriptions(&self) -> &'static [&'static str] {
            const {
                &[
                    __eventfold::EventSet::of::<BankAccount>().aggregate_type(),
                    __eventfold::EventSet::of::<loans::Loan>().aggregate_type(),
                ]
            }
        }
        fn event_sets() -> &'static [__eventfold::EventSet] {
            const {
                &[
                    __eventfold::EventSet::of::<BankAccount>(),
                    __eventfold::EventSet::of::<loans::Loan>(),
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
            if __aggregate_type
                == __eventfold::EventSet::of::<loans::Loan>().aggregate_type()
            {
                return __eventfold::ListedAggregate::<
                    loans::Loan,
                >::__project(self, __stored);
            }
            ::core::result::Result::Ok(())
        }
    }
};
