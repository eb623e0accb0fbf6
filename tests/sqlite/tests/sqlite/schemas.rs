//! The statements that make the tables.

use std::io;

use eventfold_es::prelude::*;
use eventfold_es::rusqlite::{self, Transaction};
use eventfold_es::{ProjectSql, SqlProjection, SqlSchema};

use crate::shop::{Order, OrderEvent, open, orders, place, row};

macro_rules! read_model {
    ($name:ident, $schema:expr) => {
        #[derive(SqlProjection)]
        #[projection(name = "orders", aggregates(Order))]
        struct $name;

        impl SqlSchema for $name {
            const SCHEMA: &'static str = $schema;
        }

        impl ProjectSql<Order> for $name {
            fn project(
                &self,
                _: &Transaction<'_>,
                _: &OrderEvent,
                _: &Recorded<'_>,
            ) -> rusqlite::Result<()> {
                Ok(())
            }
        }
    };
}

read_model!(
    Misspelt,
    "CREATE TABLE one (id TEXT);
     CREATE TABEL two (
         id TEXT
     );
     CREATE TABLE three (id TEXT)"
);
read_model!(
    Twice,
    "CREATE TABLE one (id TEXT); CREATE TABLE one (id TEXT)"
);
read_model!(
    UnknownColumn,
    "CREATE TABLE one (id TEXT); INSERT INTO one (name) VALUES (1)"
);
read_model!(
    Violated,
    "CREATE TABLE one (id INTEGER CHECK (id > 0)); INSERT INTO one VALUES (0)"
);
read_model!(
    Ending,
    "CREATE TABLE one (id TEXT); COMMIT; CREATE TABLE two (id TEXT)"
);
read_model!(Reserved, "CREATE TABLE eventfold_position (id TEXT)");
read_model!(
    WithTrigger,
    "-- The tables.
     CREATE TABLE one (id TEXT);
     CREATE TRIGGER of_one AFTER INSERT ON one BEGIN
         UPDATE one SET id = 1; UPDATE one SET id = 2;
     END;
     PRAGMA user_version = 7;
     -- Nothing else."
);

async fn refused<P: SqlProjection>(projection: P) -> String {
    let dir = tempfile::tempdir().unwrap();
    let opened = AggregateStore::builder(&dir).sql(projection).open().await;
    let error = opened.expect_err("the schema is wrong");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    // Nothing is left that would count.
    let files = std::fs::read_dir(dir.path().join("projections/orders")).unwrap();
    assert_eq!(files.count(), 0);
    error.to_string()
}

#[tokio::test]
async fn an_error_names_the_statement() {
    assert_eq!(
        refused(Misspelt).await,
        "the read model `orders` cannot make its tables: statement 2 of its schema, `CREATE TABEL two ( \
         id TEXT )`: near \"TABEL\": syntax error"
    );
    let told = [
        (
            refused(Twice).await,
            "statement 2 of its schema, `CREATE TABLE one (id TEXT)`: table one already exists",
        ),
        (
            refused(UnknownColumn).await,
            "statement 2 of its schema, `INSERT INTO one (name) VALUES (1)`: table one has no column named name",
        ),
        (
            refused(Violated).await,
            "statement 2 of its schema, `INSERT INTO one VALUES (0)`: CHECK constraint failed: id > 0",
        ),
        (
            refused(Ending).await,
            "statement 2 of its schema, `COMMIT`: it ends the transaction",
        ),
        (
            refused(Reserved).await,
            "statement 1 of its schema, `CREATE TABLE eventfold_position (id TEXT)`: table eventfold_position already exists",
        ),
    ];
    for (text, expected) in told {
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn a_schema_may_have_comments_triggers_and_pragmas() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::builder(&dir).sql(WithTrigger).open().await;
    let store = store.unwrap();
    let sql = store.sql::<WithTrigger>().await.unwrap();
    let query = "SELECT count(*) FROM sqlite_schema WHERE tbl_name = 'one'";
    let count = sql.query(move |db| db.query_row(query, [], |row| row.get::<_, i64>(0)));
    assert_eq!(count.await.unwrap(), 2);
}

#[tokio::test]
async fn tables_that_another_schema_made_are_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::builder(&dir).sql(WithTrigger).open().await;
    let store = store.unwrap();
    place(&store, "o-1", 1).await;
    let sql = store.sql::<WithTrigger>().await.unwrap();
    sql.wait_for(store.head()).await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, sql));
    let store = open(&dir).await;
    assert_eq!(orders(&store).await, [row("o-1", 1, 1)]);
}
