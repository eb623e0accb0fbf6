//! What the compiler tells a user of the derives, and what compiles without a word.
//!
//! `ui/fail/<topic>/<mistake>.rs` has what is said beside it, in a `.stderr`; after a change of
//! the messages, `TRYBUILD=overwrite cargo test -p eventfold-es-tests --test ui` writes it anew.
//! Read each as the user would.

#[path = "ui/compiler.rs"]
mod compiler;

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*/*.rs");
    if compiler::is_comparable() {
        cases.compile_fail("ui/fail/*/*.rs");
    }
}
