#[aggregate(commands(OpenAccount, Deposit), events(AccountOpened, Deposited))]
pub struct BankAccount {
    owner: Option<String>,
    balance: u64,
}

// Expands to:

/// The commands of `BankAccount`.
pub enum BankAccountCommand {
    /// The command `OpenAccount`.
    OpenAccount(OpenAccount),
    /// The command `Deposit`.
    Deposit(Deposit),
}
/// The events of `BankAccount`.
pub enum BankAccountEvent {
    /// The event `AccountOpened`.
    AccountOpened(AccountOpened),
    /// The event `Deposited`.
    Deposited(Deposited),
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    use __eventfold::NotListed as _;
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
    impl ::core::clone::Clone for BankAccountCommand {
        fn clone(&self) -> Self {
            match self {
                Self::OpenAccount(__message) => {
                    Self::OpenAccount(
                        __eventfold::ListedCommand::<OpenAccount>::__clone(__message),
                    )
                }
                Self::Deposit(__message) => {
                    Self::Deposit(
                        __eventfold::ListedCommand::<Deposit>::__clone(__message),
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for BankAccountCommand {
        fn fmt(
            &self,
            __formatter: &mut ::core::fmt::Formatter<'_>,
        ) -> ::core::fmt::Result {
            match self {
                Self::OpenAccount(__message) => {
                    __formatter
                        .debug_tuple("OpenAccount")
                        .field(
                            __eventfold::ListedCommand::<OpenAccount>::__debug(__message),
                        )
                        .finish()
                }
                Self::Deposit(__message) => {
                    __formatter
                        .debug_tuple("Deposit")
                        .field(__eventfold::ListedCommand::<Deposit>::__debug(__message))
                        .finish()
                }
            }
        }
    }
    #[automatically_derived]
    impl __eventfold::serde::Serialize for BankAccountCommand {
        fn serialize<__S: __eventfold::serde::Serializer>(
            &self,
            __serializer: __S,
        ) -> ::core::result::Result<
            <__S as __eventfold::serde::Serializer>::Ok,
            <__S as __eventfold::serde::Serializer>::Error,
        > {
            match self {
                Self::OpenAccount(__command) => {
                    <OpenAccount as __eventfold::CommandPayload>::serialize_as(
                        __command,
                        "BankAccountCommand",
                        "OpenAccount",
                        __serializer,
                    )
                }
                Self::Deposit(__command) => {
                    <Deposit as __eventfold::CommandPayload>::serialize_as(
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
    impl<'de> __eventfold::serde::Deserialize<'de> for BankAccountCommand {
        fn deserialize<__D: __eventfold::serde::Deserializer<'de>>(
            __deserializer: __D,
        ) -> ::core::result::Result<
            Self,
            <__D as __eventfold::serde::Deserializer<'de>>::Error,
        > {
            <Self as __eventfold::CommandSet>::deserialize_tagged(
                "BankAccountCommand",
                __deserializer,
            )
        }
    }
    #[automatically_derived]
    impl __eventfold::CommandSet for BankAccountCommand {
        const NAMES: &'static [&'static str] = &["OpenAccount", "Deposit"];
        fn deserialize_named<'de, __D: __eventfold::serde::Deserializer<'de>>(
            __name: &'static str,
            __data: __D,
        ) -> ::core::result::Result<
            Self,
            <__D as __eventfold::serde::Deserializer<'de>>::Error,
        > {
            match __name {
                "OpenAccount" => {
                    <OpenAccount as __eventfold::CommandPayload>::deserialize_from(
                            __data,
                        )
                        .map(Self::OpenAccount)
                }
                "Deposit" => {
                    <Deposit as __eventfold::CommandPayload>::deserialize_from(__data)
                        .map(Self::Deposit)
                }
                _ => {
                    ::core::result::Result::Err(
                        <<__D as __eventfold::serde::Deserializer<
                            'de,
                        >>::Error as __eventfold::serde::de::Error>::unknown_variant(
                            __name,
                            <Self as __eventfold::CommandSet>::NAMES,
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
    #[automatically_derived]
    impl ::core::clone::Clone for BankAccountEvent {
        fn clone(&self) -> Self {
            match self {
                Self::AccountOpened(__message) => {
                    Self::AccountOpened(
                        __eventfold::ListedEvent::<AccountOpened>::__clone(__message),
                    )
                }
                Self::Deposited(__message) => {
                    Self::Deposited(
                        __eventfold::ListedEvent::<Deposited>::__clone(__message),
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for BankAccountEvent {
        fn fmt(
            &self,
            __formatter: &mut ::core::fmt::Formatter<'_>,
        ) -> ::core::fmt::Result {
            match self {
                Self::AccountOpened(__message) => {
                    __formatter
                        .debug_tuple("AccountOpened")
                        .field(
                            __eventfold::ListedEvent::<AccountOpened>::__debug(__message),
                        )
                        .finish()
                }
                Self::Deposited(__message) => {
                    __formatter
                        .debug_tuple("Deposited")
                        .field(__eventfold::ListedEvent::<Deposited>::__debug(__message))
                        .finish()
                }
            }
        }
    }
    const __EVENTS: &__eventfold::Events = &[
        ("AccountOpened", <AccountOpened as __eventfold::DomainEvent>::NAMES),
        ("Deposited", <Deposited as __eventfold::DomainEvent>::NAMES),
    ];
    const __NAMES: [__eventfold::EventName; __eventfold::count_names(__EVENTS)] = __eventfold::concat_names(
        __EVENTS,
    );
    const __SHARED: __eventfold::Shared<2> = __eventfold::shared_names::<
        2,
        { __eventfold::slots(__EVENTS) },
    >(__EVENTS);
    const _: () = __eventfold::assert_names_are_new(
        "BankAccount",
        __EVENTS,
        &__SHARED,
        1,
    );
    #[automatically_derived]
    impl __eventfold::DomainEvent for BankAccountEvent {
        const NAMES: &'static [__eventfold::EventName] = &__NAMES;
        fn name(&self) -> &'static str {
            match self {
                Self::AccountOpened(__event) => {
                    <AccountOpened as __eventfold::DomainEvent>::name(__event)
                }
                Self::Deposited(__event) => {
                    <Deposited as __eventfold::DomainEvent>::name(__event)
                }
            }
        }
        fn schema_version(&self) -> u32 {
            match self {
                Self::AccountOpened(__event) => {
                    <AccountOpened as __eventfold::DomainEvent>::schema_version(__event)
                }
                Self::Deposited(__event) => {
                    <Deposited as __eventfold::DomainEvent>::schema_version(__event)
                }
            }
        }
        fn append_tags(
            &self,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            match self {
                Self::AccountOpened(__event) => {
                    <AccountOpened as __eventfold::DomainEvent>::append_tags(
                        __event,
                        __tags,
                    )
                }
                Self::Deposited(__event) => {
                    <Deposited as __eventfold::DomainEvent>::append_tags(__event, __tags)
                }
            }
        }
        fn encode(
            &self,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), __eventfold::EncodeError> {
            match self {
                Self::AccountOpened(__event) => {
                    <AccountOpened as __eventfold::DomainEvent>::encode(__event, __data)
                }
                Self::Deposited(__event) => {
                    <Deposited as __eventfold::DomainEvent>::encode(__event, __data)
                }
            }
        }
        fn decode(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<Self>,
            __eventfold::DecodeError,
        > {
            if <AccountOpened as __eventfold::DomainEvent>::knows(__stored.name()) {
                return ::core::result::Result::Ok(
                    <AccountOpened as __eventfold::DomainEvent>::decode(__stored)?
                        .map(Self::AccountOpened),
                );
            }
            if <Deposited as __eventfold::DomainEvent>::knows(__stored.name()) {
                return ::core::result::Result::Ok(
                    <Deposited as __eventfold::DomainEvent>::decode(__stored)?
                        .map(Self::Deposited),
                );
            }
            ::core::result::Result::Err(__stored.unknown())
        }
        fn __about(__events: &mut ::std::vec::Vec<__eventfold::EventInfo>) {
            <AccountOpened as __eventfold::DomainEvent>::__about(__events);
            <Deposited as __eventfold::DomainEvent>::__about(__events);
        }
        __eventfold::__testing! {
            fn __samples() -> ::std::vec::Vec < Self > { use __eventfold::NotMade as _;
            let mut __samples = ::std::vec::Vec::new(); __eventfold::add_samples(& mut
            __samples, < AccountOpened as __eventfold::DomainEvent > ::__samples(),
            Self::AccountOpened); __eventfold::add_samples(& mut __samples, < Deposited
            as __eventfold::DomainEvent > ::__samples(), Self::Deposited); __samples }
        }
    }
    #[automatically_derived]
    impl __eventfold::serde::Serialize for BankAccountEvent {
        fn serialize<__S: __eventfold::serde::Serializer>(
            &self,
            __serializer: __S,
        ) -> ::core::result::Result<
            <__S as __eventfold::serde::Serializer>::Ok,
            <__S as __eventfold::serde::Serializer>::Error,
        > {
            __eventfold::serialize_event(self, __serializer)
        }
    }
    #[automatically_derived]
    impl<'de> __eventfold::serde::Deserialize<'de> for BankAccountEvent {
        fn deserialize<__D: __eventfold::serde::Deserializer<'de>>(
            __deserializer: __D,
        ) -> ::core::result::Result<
            Self,
            <__D as __eventfold::serde::Deserializer<'de>>::Error,
        > {
            __eventfold::deserialize_event(__deserializer)
        }
    }
    #[automatically_derived]
    impl __eventfold::DecisionTypes for BankAccount {
        type DomainEvent = BankAccountEvent;
        type Error = ::core::convert::Infallible;
    }
    fn __decide(
        __state: &BankAccount,
        __command: BankAccountCommand,
        __context: &__eventfold::DecisionContext<'_>,
    ) -> ::core::result::Result<
        ::std::vec::Vec<BankAccountEvent>,
        ::core::convert::Infallible,
    > {
        match __command {
            BankAccountCommand::OpenAccount(__command) => {
                __eventfold::DecideWith::decide_with(
                    __state,
                    __eventfold::ListedCommand::<OpenAccount>::__own(__command),
                    __context,
                )
            }
            BankAccountCommand::Deposit(__command) => {
                __eventfold::DecideWith::decide_with(
                    __state,
                    __eventfold::ListedCommand::<Deposit>::__own(__command),
                    __context,
                )
            }
        }
    }
    #[automatically_derived]
    impl __eventfold::Aggregate for BankAccount {
        const AGGREGATE_TYPE: &'static str = "bank-account";
        const UNKNOWN_EVENTS: __eventfold::UnknownEvents = __eventfold::UnknownEvents::Reject;
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
            let __context = ::core::default::Default::default();
            __decide(self, __command, &__context)
        }
        fn handle_with(
            &self,
            __command: BankAccountCommand,
            __context: &__eventfold::DecisionContext<'_>,
        ) -> ::core::result::Result<
            ::std::vec::Vec<BankAccountEvent>,
            ::core::convert::Infallible,
        > {
            __decide(self, __command, __context)
        }
        fn apply(mut self, __event: &BankAccountEvent) -> Self {
            match __event {
                BankAccountEvent::AccountOpened(__event) => {
                    __eventfold::Evolve::evolve(
                        &mut self,
                        __eventfold::ListedEvent::<AccountOpened>::__known(__event),
                    )
                }
                BankAccountEvent::Deposited(__event) => {
                    __eventfold::Evolve::evolve(
                        &mut self,
                        __eventfold::ListedEvent::<Deposited>::__known(__event),
                    )
                }
            }
            self
        }
        fn repeat(
            __command: &BankAccountCommand,
        ) -> ::core::option::Option<BankAccountCommand> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<BankAccountCommand>::__copy(__command)
        }
        fn fingerprint(__command: &BankAccountCommand) -> ::core::option::Option<u64> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<BankAccountCommand>::__fingerprint(__command)
        }
        fn encode_event(
            __event: &BankAccountEvent,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<
            ::std::borrow::Cow<'static, str>,
            __eventfold::EncodeError,
        > {
            <BankAccountEvent as __eventfold::DomainEvent>::encode(__event, __data)?;
            ::core::result::Result::Ok(
                ::std::borrow::Cow::Borrowed(
                    <BankAccountEvent as __eventfold::DomainEvent>::name(__event),
                ),
            )
        }
        fn event_version(__event: &BankAccountEvent) -> ::core::option::Option<u32> {
            ::core::option::Option::Some(
                <BankAccountEvent as __eventfold::DomainEvent>::schema_version(__event),
            )
        }
        const HAS_TAGS: bool = __eventfold::has_tags(
            <BankAccountEvent as __eventfold::DomainEvent>::NAMES,
        );
        fn event_tags(
            __event: &BankAccountEvent,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            <BankAccountEvent as __eventfold::DomainEvent>::append_tags(__event, __tags)
        }
        fn decode_event(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<BankAccountEvent>,
            __eventfold::DecodeError,
        > {
            <BankAccountEvent as __eventfold::DomainEvent>::decode(__stored)
        }
        fn knows_event(__name: &str) -> bool {
            <BankAccountEvent as __eventfold::DomainEvent>::knows(__name)
        }
        fn __fingerprint() -> u64 {
            __eventfold::fingerprint(
                <BankAccountEvent as __eventfold::DomainEvent>::NAMES,
            )
        }
        const __EVENT_NAMES: ::core::option::Option<&'static [__eventfold::EventName]> = ::core::option::Option::Some(
            <BankAccountEvent as __eventfold::DomainEvent>::NAMES,
        );
        fn __events() -> ::core::option::Option<
            ::std::vec::Vec<__eventfold::EventInfo>,
        > {
            let mut __events = ::std::vec::Vec::new();
            <BankAccountEvent as __eventfold::DomainEvent>::__about(&mut __events);
            ::core::option::Option::Some(__events)
        }
        fn command_name(__command: &BankAccountCommand) -> &'static str {
            match __command {
                BankAccountCommand::OpenAccount(_) => "OpenAccount",
                BankAccountCommand::Deposit(_) => "Deposit",
            }
        }
        fn command_routes(
            __routes: &mut __eventfold::CommandRoutes<BankAccountCommand>,
        ) {
            __routes.add::<OpenAccount>();
            __routes.add::<Deposit>();
        }
        fn __commands() -> ::core::option::Option<
            ::std::vec::Vec<__eventfold::CommandInfo>,
        > {
            use __eventfold::NoSchema as _;
            ::core::option::Option::Some(
                __eventfold::about_commands(
                    &[
                        ("OpenAccount", __eventfold::SchemaOf::<OpenAccount>::__SCHEMA),
                        ("Deposit", __eventfold::SchemaOf::<Deposit>::__SCHEMA),
                    ],
                ),
            )
        }
    }
};
