//! The console of a store on PostgreSQL, while it is open, and of its schema beside it.

use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use eventfold_es::console;
use eventfold_es::inspect::StoreReader;
use eventfold_es_tests_console::{
    Account, Balances, app, deposits, get, on_postgres, page, post, write,
};

use crate::PAGES;
use crate::server::Server;

const FAST: [&str; 2] = ["fsync=off", "full_page_writes=off"];

fn reader(server: &Server) -> StoreReader {
    StoreReader::postgres(format!("{}?schema=shop", server.url())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_an_open_store_on_postgres_and_of_its_schema_is_there() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let store = on_postgres(&server.url()).await;
    deposits(&store, "a", &[1, 2]).await;
    store.run_process_managers().await.unwrap();
    store.projection::<Balances>().unwrap();
    all_pages(&app(console::router(&store).aggregate::<Account>())).await;
    // What followers have saved is in the schema then.
    store.shutdown().await.unwrap();
    let beside = console::router_of_reader(reader(&server));
    all_pages(&app(beside.aggregate::<Account>())).await;
}

async fn all_pages(app: &Router) {
    for path in PAGES {
        page(app, path).await;
    }
    let first = page(app, "/").await.text;
    assert!(first.contains("<dt>Events</dt><dd>3</dd>"), "{first}");
    let account = page(app, "/aggregate?type=account&id=a").await.text;
    assert!(account.contains("<code>3</code>"), "{account}");
    let letters = page(app, "/dead-letters?of=savings").await.text;
    assert!(
        letters.contains("savings") && !letters.contains("<form method=\"post\""),
        "{letters}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_of_a_schema_shows_what_other_processes_store_meanwhile_and_writes_nothing() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let store = on_postgres(&server.url()).await;
    deposits(&store, "a", &[1]).await;
    store.run_process_managers().await.unwrap();
    let app = app(console::router_of_reader(reader(&server)));
    // It looks for new events now and then.
    let events = async |count: u64| {
        let shown = format!("<dt>Events</dt><dd>{count}</dd>");
        let started = Instant::now();
        loop {
            let first = page(&app, "/").await.text;
            if first.contains(&shown) {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{first}");
            tokio::task::yield_now().await;
        }
    };
    events(2).await;
    write(&store, "a", "<script>").await;
    events(3).await;
    let log = page(&app, "/log").await.text;
    assert!(
        log.contains("Written") && !log.contains("<script>"),
        "{log}"
    );
    let before = server.sql("SELECT count(*), sum(revision) FROM shop.writers, shop.leases");
    let refused = post(&app, "/discard", "of=savings&id=1").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    let after = server.sql("SELECT count(*), sum(revision) FROM shop.writers, shop.leases");
    assert_eq!(after, before);
    store.shutdown().await.unwrap();
    // It needs no open store.
    events(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_has_no_password_of_the_database_on_any_page() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let url = server.url().replace("postgres@", "postgres:hidden-word@");
    let store = on_postgres(&url).await;
    deposits(&store, "a", &[1]).await;
    let beside = StoreReader::postgres(format!("{url}?schema=shop")).unwrap();
    for app in [
        app(console::router(&store)),
        app(console::router_of_reader(beside)),
    ] {
        for path in PAGES {
            let answer = get(&app, path).await;
            assert!(!answer.text.contains("hidden-word"), "{path}");
        }
    }
    store.shutdown().await.unwrap();
}
