//! A console below a path of an application.

use std::collections::BTreeSet;

use axum::Router;
use axum::http::StatusCode;
use eventfold_es::console;
use eventfold_es_tests_console::{Account, deposits, get, in_memory};

/// What `link` on the page `path` leads to.
fn resolved(path: &str, link: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap();
    let folder = path.rsplit_once('/').unwrap().0;
    let link = link.split('#').next().unwrap();
    let link = link
        .strip_prefix("./")
        .unwrap_or_else(|| panic!("{link} on {path} is not relative"));
    format!("{folder}/{link}")
}

/// Follows every link from `start` on, as far as the console goes.
async fn follow_links(app: &Router, start: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut rest = vec![start.to_owned()];
    while let Some(path) = rest.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = get(app, &path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        let links = ["href", "src", "action"]
            .into_iter()
            .flat_map(|name| answer.attributes(name));
        // Forms of writing are no pages.
        let links = links.filter(|link| !link.starts_with('#'));
        rest.extend(links.map(|link| resolved(&path, &link)));
    }
    seen
}

#[tokio::test]
async fn every_link_holds_below_every_prefix() {
    let store = in_memory().await;
    deposits(&store, "a/../b?c&d", &[1]).await;
    store.run_process_managers().await.unwrap();
    // What the dead letter is for.
    deposits(&store, "a/../b?c&d-savings", &[]).await;
    let console = || console::router(&store).aggregate::<Account>().build();
    let nested = Router::new().nest("/admin/eventfold", console());
    let service = Router::new().nest_service("/admin/eventfold", console());
    let twice = Router::new().nest("/x", Router::new().nest("/admin", console()));
    for (app, start) in [
        (console(), "/"),
        (nested, "/admin/eventfold"),
        (service.clone(), "/admin/eventfold"),
        (service, "/admin/eventfold/"),
        (twice, "/x/admin"),
    ] {
        let seen = follow_links(&app, start).await;
        assert!(seen.len() > 20, "{seen:?}");
        for page in [
            "log",
            "aggregates",
            "event?",
            "aggregate?",
            "follower?",
            "console.css",
            "console.js",
            "raw?",
        ] {
            let prefix = start.trim_end_matches('/');
            let page = format!("{prefix}/{page}");
            assert!(
                seen.iter().any(|path| path.starts_with(&page)),
                "{page} is in no link"
            );
        }
    }
}

#[tokio::test]
async fn the_routes_of_the_application_around_it_stay_its_own() {
    let store = in_memory().await;
    let app = Router::new()
        .route("/", axum::routing::get(|| async { "the application" }))
        .nest("/admin", console::router(&store).build());
    assert_eq!(get(&app, "/").await.text, "the application");
    assert_eq!(get(&app, "/log").await.status, StatusCode::NOT_FOUND);
    assert!(
        get(&app, "/admin/no-page")
            .await
            .text
            .contains("no such page")
    );
}

#[tokio::test]
async fn a_console_of_a_directory_shows_what_a_program_writes_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let store = eventfold_es_tests_console::open(dir.path()).await;
    deposits(&store, "a", &[1]).await;
    let app = console::router_of(dir.path()).unwrap().build();
    for amount in [333, 444] {
        let account = store.get::<Account>("a").await.unwrap();
        account
            .send(eventfold_es_tests_console::Deposit { amount })
            .await
            .unwrap();
        let payload = format!("{amount}");
        // Until the newest event is known to be durable.
        while !get(&app, "/log").await.text.contains(&payload) {
            tokio::task::yield_now().await;
        }
    }
    let answer = get(&app, "/aggregate?type=account&id=a").await;
    assert!(answer.text.contains("eventfold ui"), "{}", answer.text);
}
