#[process_manager(dispatches(Inventory))]
struct Fulfilment;

// Expands to:

::core::compile_error! {
    "`aggregates(...)` is missing; list the aggregates whose events `Fulfilment` reacts to, or in `events(...)` events that belong to no aggregate"
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    #[automatically_derived]
    impl __eventfold::ProcessManager for Fulfilment {
        const NAME: &'static str = "";
        fn subscriptions(&self) -> &'static [&'static str] {
            ::core::unreachable!()
        }
        fn react(
            &mut self,
            _: &str,
            _: &str,
            _: &__eventfold::eventfold::Event,
        ) -> ::std::vec::Vec<__eventfold::CommandEnvelope> {
            ::core::unreachable!()
        }
    }
};
