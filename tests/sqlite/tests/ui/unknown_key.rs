use eventfold_es::{SqlProjection, SqlSchema};

#[derive(SqlProjection)]
#[projection(name = "sums", vresion = 2, aggregates(eventfold_es::__private::example::Counter))]
struct Sums;

impl SqlSchema for Sums {
    const SCHEMA: &'static str = "CREATE TABLE sums (id TEXT)";
}

fn main() {}
