use eventfold_es::__private::example::Counter;
use eventfold_es::SqlProjection;

#[derive(SqlProjection)]
#[projection(aggregates(Counter), vresion = 2)]
struct Sums;

fn main() {}
