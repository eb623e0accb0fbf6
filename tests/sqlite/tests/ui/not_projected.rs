use eventfold_es::__private::example::Counter;
use eventfold_es::{SqlProjection, SqlSchema};

#[derive(SqlProjection)]
#[projection(aggregates(Counter))]
struct Sums;

impl SqlSchema for Sums {
    const SCHEMA: &'static str = "CREATE TABLE sums (id TEXT)";
}

fn main() {}
