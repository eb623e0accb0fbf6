#[aggregate_impl]
impl BankAccount {
    const LIMIT: u64 = { 1_000 };

    /// Opens it.
    pub fn open(&self, command: OpenAccount) -> Decision<Self> {
        Ok(events![AccountOpened { owner: command.owner }])
    }

    fn opened(&mut self, event: &AccountOpened) {
        self.owner = Some(event.owner.clone());
    }

    #[cfg(feature = "deposits")]
    #[inline]
    fn deposit(&self, _: commands::Deposit, context: &DecisionContext<'_>) -> Result<Vec<BankAccountEvent>, BankError> {
        self.check_open()
    }

    #[cfg_attr(docs, doc = "It grew.", inline, cfg(all()))]
    fn deposited(self: &mut Self, Deposited { amount }: &Deposited) {}

    /// Not a decision.
    #[helper]
    fn check_open(&self) -> Result<(), BankError> {
        Ok(())
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
    const LIMIT: u64 = { 1_000 };
    /// Opens it.
    pub fn open(&self, command: OpenAccount) -> Decision<Self> {
        Ok(events![AccountOpened { owner : command.owner }])
    }
    fn opened(&mut self, event: &AccountOpened) {
        self.owner = Some(event.owner.clone());
    }
    #[cfg(feature = "deposits")]
    #[inline]
    fn deposit(
        &self,
        _: commands::Deposit,
        context: &DecisionContext<'_>,
    ) -> Result<Vec<BankAccountEvent>, BankError> {
        self.check_open()
    }
    #[cfg_attr(docs, doc = "It grew.", inline, cfg(all()))]
    fn deposited(self: &mut Self, Deposited { amount }: &Deposited) {}
    /// Not a decision.
    fn check_open(&self) -> Result<(), BankError> {
        Ok(())
    }
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotAnAggregate as _;
    /// Opens it.
    #[automatically_derived]
    impl __eventfold::Decide<OpenAccount> for BankAccount {
        fn decide(&self, __command: OpenAccount) -> __eventfold::Decision<Self> {
            __eventfold::Methods::<Self>::has_command::<OpenAccount>();
            __eventfold::Methods::<Self>::decision(Self::open(self, __command))
        }
    }
    #[automatically_derived]
    impl __eventfold::Evolve<AccountOpened> for BankAccount {
        fn evolve(&mut self, __event: &AccountOpened) {
            __eventfold::Methods::<Self>::has_event::<AccountOpened>();
            Self::opened(self, __event)
        }
    }
    #[cfg(feature = "deposits")]
    #[automatically_derived]
    impl __eventfold::DecideWith<commands::Deposit> for BankAccount {
        fn decide_with(
            &self,
            __command: commands::Deposit,
            __context: &__eventfold::DecisionContext<'_>,
        ) -> __eventfold::Decision<Self> {
            __eventfold::Methods::<Self>::has_command::<commands::Deposit>();
            __eventfold::Methods::<
                Self,
            >::decision(Self::deposit(self, __command, __context))
        }
    }
    #[cfg_attr(docs, doc = "It grew.", cfg(all()))]
    #[automatically_derived]
    impl __eventfold::Evolve<Deposited> for BankAccount {
        fn evolve(&mut self, __event: &Deposited) {
            __eventfold::Methods::<Self>::has_event::<Deposited>();
            Self::deposited(self, __event)
        }
    }
};
