#[process_manager(
    name = "fulfilment",
    aggregates(Order),
    dispatches(Order, stock::Inventory),
    decides(Subscribing, stock::Reserving),
    on_dead_letter = Self::not_sent,
    crate = ::events
)]
struct Fulfilment;

// Expands to:

const _: () = {
    use ::events::__private as __eventfold;
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
        fn targets<__T: __eventfold::Targets>(__targets: &mut __T) {
            <Order as __eventfold::DispatchTarget>::add_to(__targets);
            <stock::Inventory as __eventfold::DispatchTarget>::add_to(__targets);
            <Subscribing as __eventfold::DecisionTarget>::add_to(__targets);
            <stock::Reserving as __eventfold::DecisionTarget>::add_to(__targets);
        }
        fn on_dead_letter(
            &mut self,
            __letter: &__eventfold::DeadLetter,
            __out: &mut __eventfold::Outbox<'_>,
        ) {
            Self::not_sent(self, __letter, __out)
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
