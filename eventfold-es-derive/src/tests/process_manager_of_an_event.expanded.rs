#[process_manager(name = "welcome", events(Subscribed), dispatches(Mailbox))]
struct Welcome;

// Expands to:

const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl __eventfold::ProcessManager for Welcome {
        const NAME: &'static str = "welcome";
        fn subscriptions(&self) -> &'static [&'static str] {
            const { &[""] }
        }
        fn event_sets() -> &'static [__eventfold::EventSet] {
            const {
                &[
                    __eventfold::EventSet::of_event(
                        <Subscribed as __eventfold::DomainEvent>::knows,
                        || __eventfold::fingerprint(
                            <Subscribed as __eventfold::DomainEvent>::NAMES,
                        ),
                        <Subscribed as __eventfold::DomainEvent>::__about,
                    ),
                ]
            }
        }
        fn targets<__T: __eventfold::Targets>(__targets: &mut __T) {
            <Mailbox as __eventfold::DispatchTarget>::add_to(__targets);
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
            if __aggregate_type.is_empty()
                && <Subscribed as __eventfold::DomainEvent>::knows(__stored.name())
            {
                return __eventfold::ListedEvent::<
                    Subscribed,
                >::__react(self, __stored, __out);
            }
            ::core::result::Result::Ok(())
        }
    }
};
