//! Replaying and discarding dead letters.

use std::path::Path;

use axum::Router;
use axum::http::StatusCode;
use eventfold_es::console;
use eventfold_es::prelude::*;
use eventfold_es_tests_console::{Account, Answer, app, deposits, open, page, post, post_with};

/// A store with one dead letter.
async fn with_letter(dir: &Path) -> AggregateStore {
    let store = open(dir).await;
    deposits(&store, "a", &[]).await;
    store.run_process_managers().await.unwrap();
    assert_eq!(letters(&store).await, 1);
    store
}

async fn letters(store: &AggregateStore) -> usize {
    store
        .dead_letters("savings")
        .unwrap()
        .list()
        .await
        .unwrap()
        .len()
}

/// The form of the first dead letter.
fn form_of(answer: &Answer) -> String {
    let (token, letter) = (
        answer.hidden("token").unwrap(),
        answer.hidden("letter").unwrap(),
    );
    format!("token={token}&of=savings&letter={letter}")
}

async fn form(app: &Router) -> String {
    form_of(&page(app, "/dead-letters").await)
}

#[tokio::test]
async fn a_console_changes_nothing_unless_the_host_allows_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_letter(dir.path()).await;
    let writing = app(console::router(&store).allow_writing());
    let of_directory = console::router_of(dir.path()).unwrap().allow_writing();
    for read_only in [app(console::router(&store)), app(of_directory)] {
        let shown = page(&read_only, "/dead-letters").await;
        assert!(
            shown.text.contains("the account is not open"),
            "{}",
            shown.text
        );
        assert!(shown.text.contains("read-only") && !shown.text.contains("<form method=\"post\""));
        // Not even the form of another console helps.
        for form in [form(&writing).await, "of=savings&letter=1".to_owned()] {
            for path in ["/replay", "/discard"] {
                assert_eq!(
                    post(&read_only, path, &form).await.status,
                    StatusCode::FORBIDDEN
                );
            }
        }
    }
    assert_eq!(letters(&store).await, 1);
}

#[tokio::test]
async fn a_dead_letter_is_replayed_by_its_form() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_letter(dir.path()).await;
    let app = app(console::router(&store).allow_writing());
    let form = form(&app).await;
    let refused = post(&app, "/replay", &form).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        refused.text.contains("the account is not open"),
        "{}",
        refused.text
    );
    assert_eq!(letters(&store).await, 1);

    deposits(&store, "a-savings", &[]).await;
    let done = post(&app, "/replay", &form).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    let then = page(&app, &done.header("location").replacen("./", "/", 1)).await;
    assert!(then.text.contains("took effect"), "{}", then.text);
    assert_eq!(letters(&store).await, 0);
    let savings = store.get::<Account>("a-savings").await.unwrap();
    assert_eq!(savings.state().await.unwrap().balance, 5);
    // The same form once more.
    assert_eq!(
        post(&app, "/replay", &form).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn all_dead_letters_are_replayed_by_one_form() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_letter(dir.path()).await;
    deposits(&store, "b", &[]).await;
    store.run_process_managers().await.unwrap();
    deposits(&store, "b-savings", &[]).await;
    let app = app(console::router(&store).allow_writing());
    let shown = page(&app, "/dead-letters").await;
    assert!(shown.text.contains("Replay all 2"), "{}", shown.text);
    let form = format!("token={}&of=savings", shown.hidden("token").unwrap());
    let done = post(&app, "/replay", &form).await;
    assert!(
        done.header("location").contains("1+command+took+effect"),
        "{done:?}"
    );
    assert_eq!(letters(&store).await, 1);
}

#[tokio::test]
async fn a_dead_letter_is_discarded_by_its_form() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_letter(dir.path()).await;
    let app = app(console::router(&store).allow_writing());
    let form = form(&app).await;
    assert_eq!(
        post(&app, "/discard", &form).await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(letters(&store).await, 0);
    assert_eq!(
        post(&app, "/discard", &form).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_form_without_the_token_or_from_another_origin_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_letter(dir.path()).await;
    let app = app(console::router(&store).allow_writing());
    let form = form(&app).await;
    let (token, rest) = form.split_once('&').unwrap();
    let wrong = token.chars().rev().collect::<String>();
    for form in [
        rest.to_owned(),
        format!("token=&{rest}"),
        format!("token={wrong}&{rest}"),
        format!("{token}x&{rest}"),
    ] {
        let answer = post(&app, "/discard", &form).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{form}");
    }
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost:8081"),
        ("origin", "http://localhost"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
    ] {
        let answer = post_with(&app, "/discard", &form, &[(name, value)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    // A page is not a form.
    let got = eventfold_es_tests_console::get(&app, &format!("/discard?{form}")).await;
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(letters(&store).await, 1);

    let own = [
        ("origin", "http://localhost:8080"),
        ("sec-fetch-site", "same-origin"),
    ];
    let done = post_with(&app, "/discard", &form, &own).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_that_is_too_large_or_incomplete_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_letter(dir.path()).await;
    let app = app(console::router(&store).allow_writing());
    let shown = page(&app, "/dead-letters").await;
    let token = shown.hidden("token").unwrap();
    for form in [
        "x".repeat(1024 * 1024),
        format!("token={token}"),
        format!("token={token}&of=savings"),
    ] {
        let answer = post(&app, "/discard", &form).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
    }
    let unknown = format!("token={token}&of=zz&letter=1");
    assert_eq!(
        post(&app, "/replay", &unknown).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(letters(&store).await, 1);
}
