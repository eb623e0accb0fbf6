//! What the compiler says where the runtime has another name and nobody told the derives.

#[path = "../ui/compiler.rs"]
mod compiler;

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    if compiler::is_comparable() {
        cases.compile_fail("ui/*.rs");
    }
}
