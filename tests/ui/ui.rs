//! What the compiler tells a user of the derives. What compiles without a word is in `pass`.
//!
//! `fail/<topic>/<mistake>.rs` has what is said beside it, in a `.stderr`; after a change of
//! the messages, `TRYBUILD=overwrite cargo test -p eventfold-es-tests-ui --test ui` writes it anew.
//! Read each as the user would.

mod compiler;

/// In one run of the compiler, which links nothing: so no case that compiles is among them.
#[test]
fn ui() {
    if compiler::is_comparable() {
        trybuild::TestCases::new().compile_fail("fail/*/*.rs");
    }
}
