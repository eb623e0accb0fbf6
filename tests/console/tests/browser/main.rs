//! The console in Chromium, through a web driver: what only a browser shows. Without `chromium` and
//! `chromedriver` the tests say that they were skipped.
//!
//! `cargo test --test browser`, in the directory of this package. Screenshots of every page, light and dark,
//! wide and narrow, are written to `target/console`.

mod keyboard;
mod live;
mod look;
mod safe;
mod travel;
mod writing;

use std::path::Path;

use axum::Router;
use eventfold_es::prelude::*;
use eventfold_es_tests_console::{deposits, write};

/// Serves `app` on a port that the system gives, and returns its address.
async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

/// A store with something on every page.
async fn full(dir: &Path) -> AggregateStore {
    let store = eventfold_es_tests_console::open(dir).await;
    deposits(&store, "alice-savings", &[40]).await;
    for (id, amounts) in [
        ("alice", &[120, 80, 35, 9][..]),
        ("bob", &[5, 5, 5]),
        ("carol", &[1_000]),
        ("דנה", &[7, 8]),
    ] {
        deposits(&store, id, amounts).await;
    }
    write(
        &store,
        "alice",
        "a note of some length, as people write them when they explain a transfer",
    )
    .await;
    write(
        &store,
        "mallory",
        "<script>document.title = 'owned'</script><img src=x onerror=alert(1)>",
    )
    .await;
    write(&store, "mallory", "abc\u{202e}fed \u{200b}and שלום עולם").await;
    write(&store, "mallory", "0123456789".repeat(100_000)).await;
    store.run_process_managers().await.unwrap();
    store
        .read(|balances: &eventfold_es_tests_console::Balances| balances.sum)
        .await
        .unwrap();
    store
}
