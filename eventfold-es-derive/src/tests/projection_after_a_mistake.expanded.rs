#[projection(subscribes(BankAccount), version = 0)]
struct Totals<T>(T);

// Expands to:

::core::compile_error! {
    "`Projection` cannot be derived for a type with parameters; a checkpoint belongs to one concrete type, so write the types out"
}
::core::compile_error! {
    "unknown key `subscribes` in `#[projection(...)]`; did you mean `aggregates(BankAccount, Loan)`?"
}
::core::compile_error! {
    "`0` is too small; write `1` or more"
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    #[automatically_derived]
    impl<T> __eventfold::Projection for Totals<T>
    where
        for<'__any> Totals<
            T,
        >: ::core::default::Default + ::core::clone::Clone
            + __eventfold::serde::Serialize + __eventfold::serde::de::DeserializeOwned
            + ::core::marker::Send + ::core::marker::Sync,
        Totals<T>: 'static,
    {
        const NAME: &'static str = "";
        fn subscriptions(&self) -> &'static [&'static str] {
            ::core::unreachable!()
        }
        fn apply(&mut self, _: &str, _: &str, _: &__eventfold::eventfold::Event) -> () {
            ::core::unreachable!()
        }
    }
};
