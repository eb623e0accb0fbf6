#[aggregate_impl(crate = ::framework::eventfold_es)]
/// What a counter does.
#[cfg(feature = "counters")]
impl counters::Counter {
    fn add(&self, command: Add) -> Decision<Self> {
        Ok(events![])
    }
}

// Expands to:

/// What a counter does.
#[cfg(feature = "counters")]
#[allow(
    clippy::needless_pass_by_value,
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    clippy::unused_self
)]
impl counters::Counter {
    fn add(&self, command: Add) -> Decision<Self> {
        Ok(events![])
    }
}
#[cfg(feature = "counters")]
const _: () = {
    use ::framework::eventfold_es::__private as __eventfold;
    use __eventfold::NotAnAggregate as _;
    #[automatically_derived]
    impl __eventfold::Decide<Add> for counters::Counter {
        fn decide(&self, __command: Add) -> __eventfold::Decision<Self> {
            __eventfold::Methods::<Self>::has_command::<Add>();
            __eventfold::Methods::<Self>::decision(Self::add(self, __command))
        }
    }
};
