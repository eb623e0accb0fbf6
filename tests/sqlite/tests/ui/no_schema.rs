use eventfold_es::__private::example::Counter;
use eventfold_es::prelude::*;
use eventfold_es::rusqlite::{self, Transaction};
use eventfold_es::{ProjectSql, SqlProjection};

#[derive(SqlProjection)]
#[projection(aggregates(Counter))]
struct Sums;

impl ProjectSql<Counter> for Sums {
    fn project(
        &self,
        _: &Transaction<'_>,
        _: &<Counter as Aggregate>::DomainEvent,
        _: &Recorded<'_>,
    ) -> rusqlite::Result<()> {
        Ok(())
    }
}

fn main() {}
