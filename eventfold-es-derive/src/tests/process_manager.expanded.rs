#[process_manager(name = "fulfilment", aggregates(Order, Payment), dispatches(stock::Inventory))]
struct Fulfilment;

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    const __AGGREGATES: &__eventfold::Events = &[
        (
            "Order",
            &[
                __eventfold::aggregate_name(
                    __eventfold::EventSet::of::<Order>().aggregate_type(),
                ),
            ],
        ),
        (
            "Payment",
            &[
                __eventfold::aggregate_name(
                    __eventfold::EventSet::of::<Payment>().aggregate_type(),
                ),
            ],
        ),
    ];
    const __SHARED: __eventfold::Shared<2> = __eventfold::shared_names::<
        2,
        { __eventfold::slots(__AGGREGATES) },
    >(__AGGREGATES);
    const _: () = __eventfold::assert_type_is_new(
        "Fulfilment",
        __AGGREGATES,
        &__SHARED,
        1,
    );
    #[automatically_derived]
    impl __eventfold::ProcessManager for Fulfilment {
        const NAME: &'static str = "fulfilment";
        fn subscriptions(&self) -> &'static [&'static str] {
            const {
                &[
                    __eventfold::EventSet::of::<Order>().aggregate_type(),
                    __eventfold::EventSet::of::<Payment>().aggregate_type(),
                ]
            }
        }
        fn event_sets() -> &'static [__eventfold::EventSet] {
            const {
                &[
                    __eventfold::EventSet::of::<Order>(),
                    __eventfold::EventSet::of::<Payment>(),
                ]
            }
        }
        fn targets<__T: __eventfold::Targets>(__targets: &mut __T) {
            <stock::Inventory as __eventfold::DispatchTarget>::add_to(__targets);
        }
        fn react(
            &mut self,
            __aggregate_type: &str,
            __id: &str,
            __event: &__eventfold::eventfold::Event,
        ) -> ::std::vec::Vec<__eventfold::CommandEnvelope> {
            __eventfold::react_eventfold(self, __aggregate_type, __id, __event)
        }
        fn react_stored(
            &mut self,
            __stored: __eventfold::StoredEvent<'_>,
            __out: &mut __eventfold::Outbox<'_>,
        ) -> ::core::result::Result<(), __eventfold::DecodeError> {
            let __aggregate_type = __stored.record().aggregate_type();
            if __aggregate_type == __eventfold::EventSet::of::<Order>().aggregate_type()
            {
                return __eventfold::ListedAggregate::<
                    Order,
                >::__react(self, __stored, __out);
            }
            if __aggregate_type
                == __eventfold::EventSet::of::<Payment>().aggregate_type()
            {
                return __eventfold::ListedAggregate::<
                    Payment,
                >::__react(self, __stored, __out);
            }
            ::core::result::Result::Ok(())
        }
    }
};
