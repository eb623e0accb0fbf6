#[projection(subscribes(Order))]
struct Orders<T>(T);

// Expands to:

::core::compile_error! {
    "`SqlProjection` cannot be derived for a type with parameters; a checkpoint belongs to one concrete type, so write the types out"
}
::core::compile_error! {
    "unknown key `subscribes` in `#[projection(...)]`; did you mean `aggregates(BankAccount, Loan)`?"
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    #[automatically_derived]
    impl<T> __eventfold::SqlProjection for Orders<T>
    where
        for<'__any> Orders<
            T,
        >: __eventfold::SqlSchema + ::core::marker::Send + ::core::marker::Sync,
        Orders<T>: 'static,
    {
        const NAME: &'static str = "";
        fn subscriptions() -> &'static [&'static str] {
            ::core::unreachable!()
        }
        fn event_sets() -> &'static [__eventfold::EventSet] {
            ::core::unreachable!()
        }
        fn project_stored(
            &self,
            _: &__eventfold::rusqlite::Transaction<'_>,
            _: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<(), __eventfold::SqlRefusal> {
            ::core::unreachable!()
        }
    }
};
