#[event(nmae = "MoneyDeposited")]
struct Deposited<T>(T);

// Expands to:

::core::compile_error! {
    "`DomainEvent` cannot be derived for a generic type; a stored name belongs to one concrete type that owns its data, so write the types out"
}
::core::compile_error! {
    "unknown key `nmae` in `#[event(...)]`; did you mean `name`?"
}
#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl<T> ::eventfold_es::__private::DomainEvent for Deposited<T> {
        const NAMES: &'static [::eventfold_es::__private::EventName] = &[];
        fn name(&self) -> &'static str {
            ::core::unreachable!()
        }
        fn encode(
            &self,
            _: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), ::eventfold_es::__private::EncodeError> {
            ::core::unreachable!()
        }
        fn decode(
            _: ::eventfold_es::__private::StoredEvent<'_>,
        ) -> ::core::result::Result<Self, ::eventfold_es::__private::DecodeError> {
            ::core::unreachable!()
        }
    }
};
