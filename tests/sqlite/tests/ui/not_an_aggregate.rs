use eventfold_es::{SqlProjection, SqlSchema};

struct NotAnAggregate;

#[derive(SqlProjection)]
#[projection(aggregates(NotAnAggregate))]
struct Sums;

impl SqlSchema for Sums {
    const SCHEMA: &'static str = "CREATE TABLE sums (id TEXT)";
}

fn main() {}
