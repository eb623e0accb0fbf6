#[aggregate(commands(OpenAccount, Deposit), events(AccountOpened, Deposited))]
pub struct BankAccount {
    owner: Option<String>,
    balance: u64,
}

// Expands to:

/// The commands of `BankAccount`.
#[allow(deprecated)]
#[derive(::core::fmt::Debug, ::core::clone::Clone)]
pub enum BankAccountCommand {
    /// The command `OpenAccount`.
    OpenAccount(OpenAccount),
    /// The command `Deposit`.
    Deposit(Deposit),
}
/// The events of `BankAccount`.
#[allow(deprecated)]
#[derive(::core::fmt::Debug, ::core::clone::Clone)]
pub enum BankAccountEvent {
    /// The event `AccountOpened`.
    AccountOpened(AccountOpened),
    /// The event `Deposited`.
    Deposited(Deposited),
}
#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl ::core::convert::From<OpenAccount> for BankAccountCommand {
        fn from(__message: OpenAccount) -> Self {
            Self::OpenAccount(__message)
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<Deposit> for BankAccountCommand {
        fn from(__message: Deposit) -> Self {
            Self::Deposit(__message)
        }
    }
    #[automatically_derived]
    impl ::eventfold_es::__private::serde::Serialize for BankAccountCommand {
        fn serialize<__S: ::eventfold_es::__private::serde::Serializer>(
            &self,
            __serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error> {
            match self {
                Self::OpenAccount(__command) => {
                    <OpenAccount as ::eventfold_es::__private::CommandPayload>::serialize_as(
                        __command,
                        "BankAccountCommand",
                        "OpenAccount",
                        __serializer,
                    )
                }
                Self::Deposit(__command) => {
                    <Deposit as ::eventfold_es::__private::CommandPayload>::serialize_as(
                        __command,
                        "BankAccountCommand",
                        "Deposit",
                        __serializer,
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl<'de> ::eventfold_es::__private::serde::Deserialize<'de> for BankAccountCommand {
        fn deserialize<__D: ::eventfold_es::__private::serde::Deserializer<'de>>(
            __deserializer: __D,
        ) -> ::core::result::Result<Self, __D::Error> {
            <Self as ::eventfold_es::__private::CommandSet>::deserialize_tagged(
                "BankAccountCommand",
                __deserializer,
            )
        }
    }
    #[automatically_derived]
    impl ::eventfold_es::__private::CommandSet for BankAccountCommand {
        const NAMES: &'static [&'static str] = &["OpenAccount", "Deposit"];
        fn deserialize_named<
            'de,
            __D: ::eventfold_es::__private::serde::Deserializer<'de>,
        >(
            __name: &'static str,
            __data: __D,
        ) -> ::core::result::Result<Self, __D::Error> {
            match __name {
                "OpenAccount" => {
                    <OpenAccount as ::eventfold_es::__private::CommandPayload>::deserialize_from(
                            __data,
                        )
                        .map(Self::OpenAccount)
                }
                "Deposit" => {
                    <Deposit as ::eventfold_es::__private::CommandPayload>::deserialize_from(
                            __data,
                        )
                        .map(Self::Deposit)
                }
                _ => {
                    ::core::result::Result::Err(
                        <__D::Error as ::eventfold_es::__private::serde::de::Error>::unknown_variant(
                            __name,
                            <Self as ::eventfold_es::__private::CommandSet>::NAMES,
                        ),
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<AccountOpened> for BankAccountEvent {
        fn from(__message: AccountOpened) -> Self {
            Self::AccountOpened(__message)
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<Deposited> for BankAccountEvent {
        fn from(__message: Deposited) -> Self {
            Self::Deposited(__message)
        }
    }
    const __EVENTS: &[(&str, &[::eventfold_es::__private::EventName])] = &[
        (
            "AccountOpened",
            <AccountOpened as ::eventfold_es::__private::DomainEvent>::NAMES,
        ),
        ("Deposited", <Deposited as ::eventfold_es::__private::DomainEvent>::NAMES),
    ];
    const __NAMES: [::eventfold_es::__private::EventName; ::eventfold_es::__private::count_names(
        __EVENTS,
    )] = ::eventfold_es::__private::concat_names(__EVENTS);
    use ::eventfold_es::__private::assert_names_are_new as __assert_names_are_new;
    const _: () = __assert_names_are_new("BankAccount", __EVENTS, 1);
    #[automatically_derived]
    impl ::eventfold_es::__private::DomainEvent for BankAccountEvent {
        const NAMES: &'static [::eventfold_es::__private::EventName] = &__NAMES;
        fn name(&self) -> &'static str {
            match self {
                Self::AccountOpened(__event) => {
                    <AccountOpened as ::eventfold_es::__private::DomainEvent>::name(
                        __event,
                    )
                }
                Self::Deposited(__event) => {
                    <Deposited as ::eventfold_es::__private::DomainEvent>::name(__event)
                }
            }
        }
        fn encode(
            &self,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), ::eventfold_es::__private::EncodeError> {
            match self {
                Self::AccountOpened(__event) => {
                    <AccountOpened as ::eventfold_es::__private::DomainEvent>::encode(
                        __event,
                        __data,
                    )
                }
                Self::Deposited(__event) => {
                    <Deposited as ::eventfold_es::__private::DomainEvent>::encode(
                        __event,
                        __data,
                    )
                }
            }
        }
        fn decode(
            __stored: ::eventfold_es::__private::StoredEvent<'_>,
        ) -> ::core::result::Result<Self, ::eventfold_es::__private::DecodeError> {
            if <AccountOpened as ::eventfold_es::__private::DomainEvent>::knows(
                __stored.name(),
            ) {
                return <AccountOpened as ::eventfold_es::__private::DomainEvent>::decode(
                        __stored,
                    )
                    .map(Self::AccountOpened);
            }
            if <Deposited as ::eventfold_es::__private::DomainEvent>::knows(
                __stored.name(),
            ) {
                return <Deposited as ::eventfold_es::__private::DomainEvent>::decode(
                        __stored,
                    )
                    .map(Self::Deposited);
            }
            ::core::result::Result::Err(__stored.unknown())
        }
    }
    #[automatically_derived]
    impl ::eventfold_es::__private::serde::Serialize for BankAccountEvent {
        fn serialize<__S: ::eventfold_es::__private::serde::Serializer>(
            &self,
            __serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error> {
            ::eventfold_es::__private::serialize_event(self, __serializer)
        }
    }
    #[automatically_derived]
    impl<'de> ::eventfold_es::__private::serde::Deserialize<'de> for BankAccountEvent {
        fn deserialize<__D: ::eventfold_es::__private::serde::Deserializer<'de>>(
            __deserializer: __D,
        ) -> ::core::result::Result<Self, __D::Error> {
            ::eventfold_es::__private::deserialize_event(__deserializer)
        }
    }
    #[automatically_derived]
    impl ::eventfold_es::__private::Aggregate for BankAccount {
        const AGGREGATE_TYPE: &'static str = "bank-account";
        const UNKNOWN_EVENTS: ::eventfold_es::__private::UnknownEvents = ::eventfold_es::__private::UnknownEvents::Reject;
        type Command = BankAccountCommand;
        type DomainEvent = BankAccountEvent;
        type Error = ::core::convert::Infallible;
        fn handle(
            &self,
            __command: BankAccountCommand,
        ) -> ::core::result::Result<
            ::std::vec::Vec<BankAccountEvent>,
            ::core::convert::Infallible,
        > {
            match __command {
                BankAccountCommand::OpenAccount(__command) => {
                    <Self as ::eventfold_es::__private::Decide<
                        OpenAccount,
                    >>::decide(self, __command)
                }
                BankAccountCommand::Deposit(__command) => {
                    <Self as ::eventfold_es::__private::Decide<
                        Deposit,
                    >>::decide(self, __command)
                }
            }
        }
        fn apply(mut self, __event: &BankAccountEvent) -> Self {
            match __event {
                BankAccountEvent::AccountOpened(__event) => {
                    <Self as ::eventfold_es::__private::Evolve<
                        AccountOpened,
                    >>::evolve(&mut self, __event)
                }
                BankAccountEvent::Deposited(__event) => {
                    <Self as ::eventfold_es::__private::Evolve<
                        Deposited,
                    >>::evolve(&mut self, __event)
                }
            }
            self
        }
        fn encode_event(
            __event: &BankAccountEvent,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<
            ::std::borrow::Cow<'static, str>,
            ::eventfold_es::__private::EncodeError,
        > {
            <BankAccountEvent as ::eventfold_es::__private::DomainEvent>::encode(
                __event,
                __data,
            )?;
            ::core::result::Result::Ok(
                ::std::borrow::Cow::Borrowed(
                    <BankAccountEvent as ::eventfold_es::__private::DomainEvent>::name(
                        __event,
                    ),
                ),
            )
        }
        fn decode_event(
            __stored: ::eventfold_es::__private::StoredEvent<'_>,
        ) -> ::core::result::Result<
            BankAccountEvent,
            ::eventfold_es::__private::DecodeError,
        > {
            <BankAccountEvent as ::eventfold_es::__private::DomainEvent>::decode(
                __stored,
            )
        }
        fn knows_event(__name: &str) -> bool {
            <BankAccountEvent as ::eventfold_es::__private::DomainEvent>::knows(__name)
        }
        fn command_routes(
            __routes: &mut ::eventfold_es::__private::CommandRoutes<Self>,
        ) {
            __routes.add::<OpenAccount>();
            __routes.add::<Deposit>();
        }
    }
};
