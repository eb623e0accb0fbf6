//! `?after=`, and the headers of answers.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use eventfold_es::AggregateStore;
use eventfold_es::http::{After, ProblemDetails};
use eventfold_es_tests_http::{Account, Open};
use serde_json::json;

use crate::client::Bank;

#[tokio::test]
async fn a_read_includes_the_position_that_it_names() {
    let bank = Bank::serve().await;
    bank.account("a", 5).await;
    let done = bank
        .post("/accounts/a/deposits", &json!({ "amount": 2 }))
        .send()
        .await;
    assert_eq!(
        done.json(),
        json!({ "version": 3, "position": 3, "repeated": false })
    );
    assert_eq!(
        (done.header("etag"), done.header("eventfold-position")),
        (Some("\"3\""), Some("3"))
    );
    let total = bank.get("/total?after=3").send().await;
    assert_eq!(total.json(), json!({ "accounts": 1, "balance": 7 }));
    assert_eq!(bank.get("/total?x=1&after=%33").send().await.status, 200);
    assert_eq!(bank.get("/total").send().await.status, 200);
}

#[tokio::test]
async fn what_is_no_position_is_malformed() {
    let bank = Bank::serve().await;
    for query in [
        "after=",
        "after=-1",
        "after=x",
        "after=1.0",
        "after=1&after=1",
        "after=18446744073709551616",
    ] {
        let answer = bank.get(&format!("/total?{query}")).send().await;
        answer.problem(400, "malformed");
    }
}

#[tokio::test]
async fn a_position_ahead_of_all_events_is_not_waited_for() {
    let bank = Bank::serve().await;
    bank.account("a", 5).await;
    for position in ["3", "18446744073709551615"] {
        let answer = bank.get(&format!("/total?after={position}")).send().await;
        let problem = answer.problem(400, "malformed");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("newest event, which is at 2")
        );
    }
}

async fn patient(State(store): State<AggregateStore>, after: After) -> Result<(), ProblemDetails> {
    let after = after.at_most(Duration::from_millis(1));
    after.wait(&store, |_| std::future::pending()).await
}

#[tokio::test]
async fn what_is_not_reached_is_waited_for_as_long_as_the_host_says() {
    let store = AggregateStore::in_memory().open().await.unwrap();
    let account = store.get::<Account>("a").await.unwrap();
    account
        .send(Open {
            owner: "ann".to_owned(),
        })
        .await
        .unwrap();
    let router = Router::new().route("/", get(patient)).with_state(store);
    let bank = Bank::serve_with(
        move |bank| bank.nest("/other", router),
        Duration::from_secs(30),
    )
    .await;
    let answer = bank.get("/other?after=1").send().await;
    let problem = answer.problem(503, "not-reached");
    assert_eq!(
        (&problem["position"], &problem["head"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(bank.get("/other?after=0").send().await.status, 503);
    assert_eq!(bank.get("/other").send().await.status, 200);
}

#[tokio::test]
async fn what_is_created_is_told_by_its_address() {
    let bank = Bank::serve().await;
    let opened = bank
        .post("/accounts/%C3%A9t%20%C3%A9", &json!({ "owner": "ann" }))
        .send()
        .await;
    assert_eq!(opened.status, 201);
    let location = opened.header("location").unwrap();
    assert_eq!(location, "/accounts/%C3%A9t%20%C3%A9");
    assert_eq!(bank.get(location).send().await.json()["owner"], "ann");
    let again = bank
        .post("/accounts/b", &json!({ "owner": "ann" }))
        .send()
        .await;
    assert_eq!(
        again.json(),
        json!({ "version": 1, "position": 2, "repeated": false })
    );
}
