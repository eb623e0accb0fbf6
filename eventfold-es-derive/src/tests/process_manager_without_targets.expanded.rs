#[process_manager(aggregates(Order))]
struct Fulfilment;

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl __eventfold::ProcessManager for Fulfilment {
        const NAME: &'static str = "fulfilment";
        fn subscriptions(&self) -> &'static [&'static str] {
            const { &[__eventfold::EventSet::of::<Order>().aggregate_type()] }
        }
        fn event_sets() -> &'static [__eventfold::EventSet] {
            const { &[__eventfold::EventSet::of::<Order>()] }
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
            ::core::result::Result::Ok(())
        }
    }
};
