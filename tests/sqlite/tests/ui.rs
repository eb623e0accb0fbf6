//! What the compiler says about mistakes in `#[derive(SqlProjection)]`.

#[test]
fn mistakes_are_reported_where_they_are() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
