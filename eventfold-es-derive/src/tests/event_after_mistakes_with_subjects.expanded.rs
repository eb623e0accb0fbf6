#[subject]
pub enum CustomerEvent {
    Registered {
        customer: CustomerId,
        name: Personal<String>,
        emails: Vec<Personal<String>>,
    },
    Recommended {
        #[subject("customer")]
        by: CustomerId,
        #[subject = "customer"]
        friend: CustomerId,
        #[personal(friend)]
        friend_name: Personal<String>,
        by_name: Personal<String>,
    },
    Renamed {
        #[subject]
        #[subject("person")]
        customer: CustomerId,
        age: u8,
        #[personal(age)]
        name: Personal<String>,
        #[personal]
        email: Personal<String>,
    },
    #[personal(customer)]
    Left(#[subject] CustomerId, #[subject("a:b")] u8),
}

// Expands to:

::core::compile_error! {
    "`#[subject]` is not valid on an event; put it on the field that says whose the personal data is"
}
::core::compile_error! {
    "expected the subject's name in parentheses; the correct format looks like `#[subject(\"customer\")]`"
}
::core::compile_error! {
    "`#[subject]` is given twice; remove one"
}
::core::compile_error! {
    "first given here"
}
::core::compile_error! {
    "expected the field that says whose it is; the correct format looks like `#[personal(customer)]`"
}
::core::compile_error! {
    "`#[personal]` is not valid on a variant; put it on a field of the type `Personal`"
}
::core::compile_error! {
    "a field without a name needs the name of its subject: `#[subject(\"customer\")]`"
}
::core::compile_error! {
    "`Registered` has personal data, and nothing says whose it is; mark the field that does with `#[subject]`"
}
::core::compile_error! {
    "`Registered` has personal data, and nothing says whose it is; mark the field that does with `#[subject]`"
}
::core::compile_error! {
    "`Recommended` has several subjects; say whose this is: `#[personal(by)]` or `#[personal(friend)]`"
}
::core::compile_error! {
    "`age` is not marked `#[subject]`, so it does not say whose the personal data is; mark it, or name a field that is"
}
::core::compile_error! {
    "tag name `a:b` contains `:`, which stands between a tag's name and its value; write `\"a-b\"`"
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    #[automatically_derived]
    impl __eventfold::DomainEvent for CustomerEvent {
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
