#[aggregate(command = WalletCommand, event = WalletEvent)]
struct Wallet<'a, T: Clone, const N: usize>
where
    T: Copy,
{
    coins: [&'a T; N],
}

// Expands to:

::core::compile_error! {
    "`Aggregate` cannot be derived for a type with parameters; a stored stream belongs to one concrete type, so write the types out"
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl<'a, T: Clone, const N: usize> __eventfold::DecisionTypes for Wallet<'a, T, N>
    where
        T: Copy,
    {
        type DomainEvent = WalletEvent;
        type Error = ::core::convert::Infallible;
    }
    #[automatically_derived]
    impl<'a, T: Clone, const N: usize> __eventfold::Aggregate for Wallet<'a, T, N>
    where
        T: Copy,
        for<'__any> Wallet<
            'a,
            T,
            N,
        >: ::core::default::Default + ::core::clone::Clone
            + __eventfold::serde::Serialize + __eventfold::serde::de::DeserializeOwned
            + ::core::marker::Send + ::core::marker::Sync,
        Wallet<'a, T, N>: 'static,
    {
        const AGGREGATE_TYPE: &'static str = "";
        type Command = WalletCommand;
        type DomainEvent = WalletEvent;
        type Error = ::core::convert::Infallible;
        fn handle(
            &self,
            _: WalletCommand,
        ) -> ::core::result::Result<
            ::std::vec::Vec<WalletEvent>,
            ::core::convert::Infallible,
        > {
            ::core::unreachable!()
        }
        fn apply(self, _: &WalletEvent) -> Self {
            ::core::unreachable!()
        }
    }
};
