use eventfold_es::{SqlProjection, SqlSchema};

#[derive(SqlProjection)]
struct Sums;

impl SqlSchema for Sums {
    const SCHEMA: &'static str = "CREATE TABLE sums (id TEXT)";
}

fn main() {}
