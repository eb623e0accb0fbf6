#[event(nmae = "MoneyDeposited")]
struct Deposited<T>(T);

// Expands to:

::core::compile_error! {
    "`DomainEvent` cannot be derived for a type with parameters; a stored name belongs to one concrete type, so write the types out"
}
::core::compile_error! {
    "unknown key `nmae` in `#[event(...)]`; did you mean `name`?"
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    #[automatically_derived]
    impl<T> __eventfold::DomainEvent for Deposited<T> {
        const NAMES: &'static [__eventfold::EventName] = &[];
        fn name(&self) -> &'static str {
            ::core::unreachable!()
        }
        fn encode(
            &self,
            _: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), __eventfold::EncodeError> {
            ::core::unreachable!()
        }
        fn decode(
            _: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<Self>,
            __eventfold::DecodeError,
        > {
            ::core::unreachable!()
        }
    }
};
