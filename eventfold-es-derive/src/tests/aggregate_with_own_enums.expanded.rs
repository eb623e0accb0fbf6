#[aggregate(command = CounterCommand, event = events::CounterEvent)]
struct Counter {
    value: u64,
}

// Expands to:

#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl ::eventfold_es::__private::Aggregate for Counter {
        const AGGREGATE_TYPE: &'static str = "counter";
        const UNKNOWN_EVENTS: ::eventfold_es::__private::UnknownEvents = ::eventfold_es::__private::UnknownEvents::Reject;
        type Command = CounterCommand;
        type DomainEvent = events::CounterEvent;
        type Error = ::core::convert::Infallible;
        fn handle(
            &self,
            __command: CounterCommand,
        ) -> ::core::result::Result<
            ::std::vec::Vec<events::CounterEvent>,
            ::core::convert::Infallible,
        > {
            <Self as ::eventfold_es::__private::Decide<
                CounterCommand,
            >>::decide(self, __command)
        }
        fn apply(mut self, __event: &events::CounterEvent) -> Self {
            <Self as ::eventfold_es::__private::Evolve<
                events::CounterEvent,
            >>::evolve(&mut self, __event);
            self
        }
        fn encode_event(
            __event: &events::CounterEvent,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<
            ::std::borrow::Cow<'static, str>,
            ::eventfold_es::__private::EncodeError,
        > {
            <events::CounterEvent as ::eventfold_es::__private::DomainEvent>::encode(
                __event,
                __data,
            )?;
            ::core::result::Result::Ok(
                ::std::borrow::Cow::Borrowed(
                    <events::CounterEvent as ::eventfold_es::__private::DomainEvent>::name(
                        __event,
                    ),
                ),
            )
        }
        fn decode_event(
            __stored: ::eventfold_es::__private::StoredEvent<'_>,
        ) -> ::core::result::Result<
            events::CounterEvent,
            ::eventfold_es::__private::DecodeError,
        > {
            <events::CounterEvent as ::eventfold_es::__private::DomainEvent>::decode(
                __stored,
            )
        }
        fn knows_event(__name: &str) -> bool {
            <events::CounterEvent as ::eventfold_es::__private::DomainEvent>::knows(
                __name,
            )
        }
    }
};
