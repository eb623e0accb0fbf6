//! What the compiler says about mistakes in `#[derive(SqlProjection)]`. `TRYBUILD=overwrite cargo test --test ui`
//! writes it anew.

#[path = "../../ui/compiler.rs"]
mod compiler;

#[test]
fn mistakes_are_reported_where_they_are() {
    if compiler::is_comparable() {
        trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
    }
}
