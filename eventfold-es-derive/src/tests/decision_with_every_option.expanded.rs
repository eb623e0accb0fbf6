#[decision(
    name = "change",
    command = commands::Change<u64>,
    event = CourseEvent,
    crate = ::framework::eventfold_es,
)]
pub(crate) struct Changing(
    #[model("course-id" = change.course, student = 0)] models::Both,
    #[model] All,
);

// Expands to:

const _: () = {
    use ::framework::eventfold_es::__private as __eventfold;
    use __eventfold::NoSchema as _;
    use __eventfold::NotListed as _;
    #[automatically_derived]
    impl __eventfold::DecisionTypes for Changing {
        type DomainEvent = CourseEvent;
        type Error = ::core::convert::Infallible;
    }
    const _: () = __eventfold::assert_values_are_given(
        "models::Both",
        <models::Both as __eventfold::DecisionModel>::TAGS,
        <models::Both as __eventfold::DecisionModel>::__IS_OF_AGGREGATE,
        &["course-id", "student"],
    );
    const _: () = __eventfold::assert_values_are_given(
        "All",
        <All as __eventfold::DecisionModel>::TAGS,
        <All as __eventfold::DecisionModel>::__IS_OF_AGGREGATE,
        &[],
    );
    #[automatically_derived]
    impl __eventfold::Decider for Changing {
        const NAME: &'static str = "change";
        type Command = commands::Change<u64>;
        const COMMAND_NAME: &'static str = "Change";
        const __COMMAND_SCHEMA: __eventfold::Schema = __eventfold::SchemaOf::<
            commands::Change<u64>,
        >::__SCHEMA;
        fn repeat(
            __command: &commands::Change<u64>,
        ) -> ::core::option::Option<commands::Change<u64>> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<commands::Change<u64>>::__copy(__command)
        }
        fn fingerprint(
            __command: &commands::Change<u64>,
        ) -> ::core::option::Option<u64> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<commands::Change<u64>>::__fingerprint(__command)
        }
        const __MODELS: &'static [__eventfold::ModelOf<commands::Change<u64>>] = &[
            __eventfold::ModelOf::new(
                <models::Both as __eventfold::DecisionModel>::__ERASED,
                "0",
                |__command, __tags| {
                    __eventfold::add_value(
                        "course-id",
                        &__command.change.course,
                        __tags,
                    )?;
                    __eventfold::add_value("student", &__command.0, __tags)?;
                    ::core::result::Result::Ok(())
                },
            ),
            __eventfold::ModelOf::new(
                <All as __eventfold::DecisionModel>::__ERASED,
                "1",
                |_, _| { ::core::result::Result::Ok(()) },
            ),
        ];
        fn __take(__states: &mut [__eventfold::ModelState]) -> Self {
            Self {
                0: <models::Both as __eventfold::DecisionModel>::__take(
                    &mut __states[0],
                ),
                1: <All as __eventfold::DecisionModel>::__take(&mut __states[1]),
            }
        }
        fn __put_back(self, __states: &mut [__eventfold::ModelState]) {
            <models::Both as __eventfold::DecisionModel>::__put_back(
                self.0,
                &mut __states[0],
            );
            <All as __eventfold::DecisionModel>::__put_back(self.1, &mut __states[1]);
        }
        fn __decide(
            &self,
            __command: commands::Change<u64>,
            __context: &__eventfold::DecisionContext<'_>,
        ) -> ::core::result::Result<
            ::std::vec::Vec<CourseEvent>,
            ::core::convert::Infallible,
        > {
            <Self as __eventfold::DecidesCommand<
                commands::Change<u64>,
            >>::decide_command(self, __command, __context)
        }
    }
};
