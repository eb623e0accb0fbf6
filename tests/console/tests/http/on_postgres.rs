//! The console of a store on PostgreSQL, while it is open, and of its schema beside it.

use axum::http::StatusCode;
use eventfold_es::console;
use eventfold_es::inspect::StoreReader;
use eventfold_es_tests_console::{Account, app, deposits, get, on_postgres, page, post, write};

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
    store.projection::<eventfold_es_tests_console::Balances>().unwrap();
    let beside = console::router_of_reader(reader(&server)).aggregate::<Account>();
    for app in [
        app(console::router(&store).aggregate::<Account>()),
        app(beside),
    ] {
        for path in PAGES {
            page(&app, path).await;
        }
        let first = page(&app, "/").await.text;
        assert!(first.contains("<dt>Events</dt><dd>3</dd>"), "{first}");
        let account = page(&app, "/aggregate?type=account&id=a").await.text;
        assert!(account.contains("<code>3</code>"), "{account}");
        let letters = page(&app, "/dead-letters?of=savings").await.text;
        assert_eq!(letters.matches("<form").count(), 0, "nothing is written");
        assert_eq!(get(&app, "/aggregate?type=account&id=b").await.status, StatusCode::NOT_FOUND);
    }
    store.shutdown().await.unwrap();
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
    let events = async |count: u64| {
        let first = page(&app, "/").await.text;
        let shown = format!("<dt>Events</dt><dd>{count}</dd>");
        assert!(first.contains(&shown), "{first}");
    };
    events(2).await;
    write(&store, "a", "<script>").await;
    events(3).await;
    let log = page(&app, "/log").await.text;
    assert!(log.contains("&lt;script&gt;") || !log.contains("<script>"), "{log}");
    let before = server.sql("SELECT count(*) FROM shop.writers");
    let refused = post(&app, "/dead-letters/discard", "of=savings&id=1").await;
    assert!(!refused.status.is_success(), "{}", refused.status);
    assert_eq!(server.sql("SELECT count(*) FROM shop.writers"), before);
    store.shutdown().await.unwrap();
    // The one beside it needs no open store.
    events(3).await;
    drop(server);
    let gone = get(&app, "/").await;
    assert_eq!(gone.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", gone.text);
    assert!(gone.text.contains("shop"), "{}", gone.text);
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
