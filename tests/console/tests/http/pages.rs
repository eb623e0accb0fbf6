//! What each page shows.

use axum::http::{Request, StatusCode};
use eventfold_es::console;
use eventfold_es::prelude::*;
use eventfold_es_tests_console::{Account, app, ask, deposits, get, in_memory, open, page, write};

use crate::PAGES;

#[tokio::test]
async fn every_page_of_a_store_with_files_and_of_one_in_memory_is_there() {
    let dir = tempfile::tempdir().unwrap();
    for store in [open(dir.path()).await, in_memory().await] {
        deposits(&store, "a", &[1, 2]).await;
        store.run_process_managers().await.unwrap();
        let app = app(console::router(&store));
        for path in PAGES {
            page(&app, path).await;
        }
    }
}

#[tokio::test]
async fn every_page_of_an_empty_store_says_that_there_is_nothing() {
    let store = AggregateStore::in_memory().open().await.unwrap();
    let app = app(console::router(&store));
    for path in [
        "/",
        "/aggregates",
        "/log",
        "/read-side",
        "/dead-letters",
        "/model",
    ] {
        let answer = page(&app, path).await;
        assert!(answer.text.contains("class=\"empty\""), "{path}");
    }
    assert!(
        page(&app, "/")
            .await
            .text
            .contains("Nothing needs somebody.")
    );
}

#[tokio::test]
async fn the_first_page_counts_events_and_tells_what_needs_somebody() {
    let store = in_memory().await;
    deposits(&store, "a", &[1, 2]).await;
    store.run_process_managers().await.unwrap();
    let answer = page(&app(console::router(&store)), "/").await;
    assert!(
        answer.text.contains("<dt>Events</dt><dd>3</dd>"),
        "{}",
        answer.text
    );
    assert!(answer.text.contains("3 events in this minute"));
    assert!(answer.text.contains("1 dead letter"));
}

#[tokio::test]
async fn an_aggregate_shows_its_events_the_newest_first_page_by_page() {
    let store = in_memory().await;
    deposits(&store, "a", &(100..180).collect::<Vec<_>>()).await;
    deposits(&store, "b", &[1_000]).await;
    let app = app(console::router(&store));
    let first = page(&app, "/aggregate?type=account&id=a").await;
    assert!(first.text.contains(":179}") && first.text.contains(":130}"));
    assert!(!first.text.contains(":129}") && !first.text.contains(":1000}"));
    let older = page(&app, "/aggregate?type=account&id=a&before=32").await;
    assert!(older.text.contains(":129}") && older.text.contains("Opened"));
    assert!(!older.text.contains("Older →"));
}

#[tokio::test]
async fn the_log_is_filtered_by_type_name_id_tag_and_time() {
    let store = in_memory().await;
    deposits(&store, "a", &[11]).await;
    deposits(&store, "b", &[22]).await;
    write(&store, "b", "hello").await;
    let app = app(console::router(&store));
    for (query, shown, hidden) in [
        ("type=account", ":22}", "no such text"),
        ("event=Written", "hello", ":22}"),
        ("id=a", ":11}", ":22}"),
        ("tag=account:b", ":22}", ":11}"),
        ("since=1h", ":11}", "No event is like that"),
        ("until=2001-01-01", "No event is like that", ":11}"),
        ("since=1h&until=2100-01-01&event=Deposited", ":22}", "hello"),
    ] {
        let text = page(&app, &format!("/log?{query}")).await.text;
        assert!(text.contains(shown), "{query} lacks {shown}");
        assert!(!text.contains(hidden), "{query} shows {hidden}");
    }
}

#[tokio::test]
async fn the_log_goes_back_page_by_page_to_the_first_event() {
    let store = in_memory().await;
    deposits(&store, "a", &(101..=219).collect::<Vec<_>>()).await;
    let app = app(console::router(&store));
    let (mut path, mut seen) = ("/log".to_owned(), 0);
    loop {
        let answer = page(&app, &path).await;
        seen += answer.text.matches("<tr data-position").count();
        let older = answer
            .attributes("href")
            .into_iter()
            .find(|href| href.contains("before="));
        // The way back to the newest events has no `before` with a number.
        match older.filter(|_| answer.text.contains("Older →")) {
            Some(_) => {
                let next = answer
                    .attributes("href")
                    .into_iter()
                    .rfind(|href| href.contains("before="));
                path = next.unwrap().replacen("./", "/", 1);
            }
            None => break,
        }
    }
    assert_eq!(seen, 120);
}

#[tokio::test]
async fn an_event_shows_what_led_to_it_and_what_followed() {
    let store = in_memory().await;
    deposits(&store, "a-savings", &[]).await;
    deposits(&store, "a", &[]).await;
    store.run_process_managers().await.unwrap();
    let app = app(console::router(&store));
    let last = store.recent(1).await.unwrap().remove(0);
    assert_eq!(last.name(), "Deposited");
    // From the effect to its cause, and the other way round.
    let effect = page(&app, &format!("/event?position={}", last.position())).await;
    let tree = effect.text.split_once("class=\"tree\"").unwrap().1;
    assert!(tree.find("Opened").unwrap() < tree.find("Deposited").unwrap());
    assert!(tree.contains("depth-1"));
    let cause = last.causation_id().unwrap();
    let cause = page(&app, &format!("/event?id={cause}")).await;
    let tree = cause.text.split_once("class=\"tree\"").unwrap().1;
    assert!(tree.contains("Deposited"));
}

#[tokio::test]
async fn an_event_names_the_dead_letter_that_it_led_to() {
    let store = in_memory().await;
    deposits(&store, "a", &[]).await;
    store.run_process_managers().await.unwrap();
    let app = app(console::router(&store));
    let position = store.head();
    let answer = page(&app, &format!("/event?position={position}")).await;
    assert!(answer.text.contains("dead letter"), "{}", answer.text);
    assert!(answer.text.contains("the account is not open"));
}

#[tokio::test]
async fn the_read_side_shows_positions_lag_and_errors() {
    let store = in_memory().await;
    deposits(&store, "a", &[1]).await;
    let app = app(console::router(&store));
    let behind = page(&app, "/read-side").await;
    assert!(
        behind.text.contains("<span class=\"warn\">2</span>"),
        "{}",
        behind.text
    );
    store
        .read(|balances: &eventfold_es_tests_console::Balances| balances.sum)
        .await
        .unwrap();
    let there = page(&app, "/follower?name=balances").await;
    assert!(
        there.text.contains("<dt>Lag</dt><dd>0</dd>"),
        "{}",
        there.text
    );
}

/// A search index that is not there.
struct Index;

impl eventfold_es::Follower for Index {
    const NAME: &'static str = "index";
    type Error = std::io::Error;

    fn reads(&self) -> eventfold_es::Reads {
        eventfold_es::Reads::nothing().aggregate::<Account>()
    }

    async fn position(&mut self) -> std::io::Result<eventfold_es::Position> {
        Err(std::io::Error::other("the index is away"))
    }

    async fn apply(&mut self, _: &eventfold_es::Batch) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_read_side_shows_what_is_fed_outside_of_the_store() {
    let builder = AggregateStore::in_memory().follower(Index);
    let store = builder.open().await.unwrap();
    deposits(&store, "a", &[1]).await;
    let fed = store.wait_for_follower::<Index>(store.head()).await;
    fed.unwrap_err();
    let app = app(console::router(&store));
    for path in ["/read-side", "/", "/follower?name=index"] {
        let answer = page(&app, path).await;
        assert!(answer.text.contains("index"), "{path}: {}", answer.text);
    }
    let answer = page(&app, "/follower?name=index").await;
    assert!(answer.text.contains("follower</dd>"), "{}", answer.text);
    assert!(
        answer
            .text
            .contains("<dt>Lag</dt><dd><span class=\"warn\">2"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn the_model_counts_the_names_of_stored_events() {
    let store = in_memory().await;
    deposits(&store, "a", &[1, 2, 3]).await;
    let answer = page(&app(console::router(&store)), "/model").await;
    assert!(answer.text.contains("Deposited"));
    assert!(
        answer.text.contains("data-label=\"Count\">3</td>"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn the_model_shows_what_the_types_say_in_a_drawing_and_in_tables() {
    let store = in_memory().await;
    deposits(&store, "a", &[1, 2, 3]).await;
    let console = console::router(&store).aggregate::<Account>();
    let answer = page(&app(console), "/model").await;
    for part in [
        "<svg class=\"model\"",
        "<title>Deposit</title>",
        "<title>Deposited</title>",
        "<path class=\"sends\"",
        "data-label=\"Form\">version 1",
        "data-label=\"Count\">3</td>",
        "projection, version 1",
        "process manager",
    ] {
        assert!(answer.text.contains(part), "{part}: {}", answer.text);
    }
    // Without types there are only the stored names.
    let store = AggregateStore::in_memory().open().await.unwrap();
    let answer = page(&app(console::router(&store)), "/model").await;
    assert!(
        !answer.text.contains("<svg class=\"model\""),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn what_is_not_there_is_a_page_with_status_404_and_what_is_not_valid_one_with_400() {
    let store = in_memory().await;
    deposits(&store, "a", &[]).await;
    let app = app(console::router(&store));
    for (path, status) in [
        ("/no-page", 404),
        ("/aggregate/deeper", 404),
        ("/aggregate?type=account&id=zz", 404),
        ("/aggregates?type=zz", 404),
        ("/event?position=99999", 404),
        ("/event?position=0", 404),
        ("/event?id=zz", 404),
        ("/raw?position=99999", 404),
        ("/follower?name=zz", 404),
        ("/dead-letters?of=zz", 404),
        ("/state?type=account&id=a&at=1", 404),
        ("/event?position=x", 400),
        ("/event", 400),
        ("/aggregate?type=account", 400),
        ("/aggregates?sort=zz", 400),
        ("/aggregates?from=-1", 400),
        ("/log?since=soon", 400),
        ("/live", 400),
    ] {
        let answer = get(&app, path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text);
        assert!(answer.text.contains("class=\"problem\""), "{path}");
    }
}

#[tokio::test]
async fn extreme_numbers_in_an_address_are_answered() {
    let store = in_memory().await;
    deposits(&store, "a", &[1]).await;
    let app = app(console::router(&store).aggregate::<eventfold_es_tests_console::Account>());
    let most = u64::MAX;
    for path in [
        format!("/event?position={most}"),
        format!("/raw?position={most}"),
        format!("/log?before={most}"),
        "/log?before=0".to_owned(),
        format!("/aggregates?from={most}"),
        format!("/aggregate?type=account&id=a&before={most}&at={most}"),
        "/aggregate?type=account&id=a&before=0&at=0".to_owned(),
        format!("/dead-letters?of=savings&from={most}"),
        "/log?since=9999999d&until=-9999-01-01".to_owned(),
    ] {
        let status = get(&app, &path).await.status;
        assert!(!status.is_server_error(), "{path}: {status}");
    }
}

#[tokio::test]
async fn a_request_for_the_head_of_a_page_has_no_body() {
    let store = in_memory().await;
    let app = app(console::router(&store));
    let request = Request::head("/").header("host", "localhost");
    let answer = ask(&app, request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
}
