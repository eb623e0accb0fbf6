#[aggregate(command_enum(derive(Serialize)), commands(Add = "add"), event = CounterEvent)]
struct Counter(u64);

// Expands to:

/// The commands of `Counter`.
#[allow(deprecated)]
#[derive(Serialize)]
#[serde(crate = "::eventfold_es::__private::serde", tag = "type", content = "data")]
enum CounterCommand {
    /// The command `Add`.
    #[serde(rename = "add")]
    Add(Add),
}
#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl ::core::convert::From<Add> for CounterCommand {
        fn from(__message: Add) -> Self {
            Self::Add(__message)
        }
    }
    #[automatically_derived]
    impl ::eventfold_es::__private::Aggregate for Counter {
        const AGGREGATE_TYPE: &'static str = "counter";
        const UNKNOWN_EVENTS: ::eventfold_es::__private::UnknownEvents = ::eventfold_es::__private::UnknownEvents::Reject;
        type Command = CounterCommand;
        type DomainEvent = CounterEvent;
        type Error = ::core::convert::Infallible;
        fn handle(
            &self,
            __command: CounterCommand,
        ) -> ::core::result::Result<
            ::std::vec::Vec<CounterEvent>,
            ::core::convert::Infallible,
        > {
            match __command {
                CounterCommand::Add(__command) => {
                    <Self as ::eventfold_es::__private::Decide<
                        Add,
                    >>::decide(self, __command)
                }
            }
        }
        fn apply(mut self, __event: &CounterEvent) -> Self {
            <Self as ::eventfold_es::__private::Evolve<
                CounterEvent,
            >>::evolve(&mut self, __event);
            self
        }
        fn encode_event(
            __event: &CounterEvent,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<
            ::std::borrow::Cow<'static, str>,
            ::eventfold_es::__private::EncodeError,
        > {
            <CounterEvent as ::eventfold_es::__private::DomainEvent>::encode(
                __event,
                __data,
            )?;
            ::core::result::Result::Ok(
                ::std::borrow::Cow::Borrowed(
                    <CounterEvent as ::eventfold_es::__private::DomainEvent>::name(
                        __event,
                    ),
                ),
            )
        }
        fn decode_event(
            __stored: ::eventfold_es::__private::StoredEvent<'_>,
        ) -> ::core::result::Result<
            CounterEvent,
            ::eventfold_es::__private::DecodeError,
        > {
            <CounterEvent as ::eventfold_es::__private::DomainEvent>::decode(__stored)
        }
        fn knows_event(__name: &str) -> bool {
            <CounterEvent as ::eventfold_es::__private::DomainEvent>::knows(__name)
        }
        fn command_routes(
            __routes: &mut ::eventfold_es::__private::CommandRoutes<Self>,
        ) {
            __routes.add::<Add>();
        }
    }
};
