#[aggregate_impl]
impl BankAccount {
    async fn open(&self, command: OpenAccount) -> Decision<Self> {
        Ok(events![])
    }

    fn opened(&mut self, event: AccountOpened) {}

    fn is_rich(&self, limit: &u64) -> bool {
        true
    }

    fn close(&self) -> Decision<Self> {
        Ok(events![])
    }

    fn deposit(&self, command: Deposit) -> Decision<Self> {
        Ok(events![])
    }
}

// Expands to:

#[allow(
    clippy::needless_pass_by_value,
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    clippy::unused_self
)]
impl BankAccount {
    async fn open(&self, command: OpenAccount) -> Decision<Self> {
        Ok(events![])
    }
    fn opened(&mut self, event: AccountOpened) {}
    fn is_rich(&self, limit: &u64) -> bool {
        true
    }
    fn close(&self) -> Decision<Self> {
        Ok(events![])
    }
    fn deposit(&self, command: Deposit) -> Decision<Self> {
        Ok(events![])
    }
}
::core::compile_error! {
    "`open` is `async`, but deciding and evolving never wait; find out first what is needed, put it into the command, and remove `async`"
}
::core::compile_error! {
    "an event is taken by reference; write `event: &AccountOpened`, or mark `opened` `#[helper]` if it is no event's effect"
}
::core::compile_error! {
    "a command is taken by value; write `limit: u64`, or mark `is_rich` `#[helper]` if it decides nothing"
}
::core::compile_error! {
    "`close` takes no command; write `fn close(&self, command: Command) -> Decision<Self>`, or mark it `#[helper]` if it decides nothing"
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotAnAggregate as _;
    #[automatically_derived]
    impl __eventfold::Decide<OpenAccount> for BankAccount {
        fn decide(&self, _: OpenAccount) -> __eventfold::Decision<Self> {
            ::core::unreachable!()
        }
    }
    #[automatically_derived]
    impl __eventfold::Evolve<AccountOpened> for BankAccount {
        fn evolve(&mut self, _: &AccountOpened) {
            ::core::unreachable!()
        }
    }
    #[automatically_derived]
    impl __eventfold::Decide<u64> for BankAccount {
        fn decide(&self, _: u64) -> __eventfold::Decision<Self> {
            ::core::unreachable!()
        }
    }
    #[automatically_derived]
    impl __eventfold::Decide<Deposit> for BankAccount {
        fn decide(&self, __command: Deposit) -> __eventfold::Decision<Self> {
            __eventfold::Methods::<Self>::has_command::<Deposit>();
            __eventfold::Methods::<Self>::decision(Self::deposit(self, __command))
        }
    }
};
