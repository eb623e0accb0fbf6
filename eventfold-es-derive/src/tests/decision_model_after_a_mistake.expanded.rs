#[decision_model(tag = "course:", tags("student"), event(Subscribed))]
struct Seats<T>(T);

// Expands to:

::core::compile_error! {
    "`DecisionModel` cannot be derived for a type with parameters; a state that is kept belongs to one concrete type, so write the types out"
}
::core::compile_error! {
    "unknown key `event` in `#[decision_model(...)]`; did you mean `events`?"
}
::core::compile_error! {
    "`tag` and `tags` cannot both be given; write all of them in `tags(...)`"
}
::core::compile_error! {
    "`tag` is given here"
}
::core::compile_error! {
    "tag name `course:` contains `:`, which stands between a tag's name and its value; write `\"course-\"`"
}
const _: () = {
    use ::eventfold_es::__private as __eventfold;
    #[automatically_derived]
    impl<T> __eventfold::DecisionModel for Seats<T>
    where
        for<'__any> Seats<T>: ::core::default::Default + ::core::marker::Send,
        Seats<T>: 'static,
    {
        const TAGS: &'static [&'static str] = &["course:", "student"];
        const EVENTS: &'static [__eventfold::EventName] = &[];
        fn apply_stored(
            &mut self,
            _: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<(), __eventfold::DecodeError> {
            ::core::unreachable!()
        }
    }
};
