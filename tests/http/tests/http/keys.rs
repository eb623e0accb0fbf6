//! The header `Idempotency-Key`.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue};
use eventfold_es::http::IdempotencyKey;
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::Bank;

fn read(value: &str) -> Result<String, u16> {
    let mut headers = HeaderMap::new();
    headers.insert(
        "idempotency-key",
        HeaderValue::from_bytes(value.as_bytes()).unwrap(),
    );
    match IdempotencyKey::read(&headers) {
        Ok(key) => Ok(key.unwrap().of("ann")),
        Err(problem) => Err(problem.status().as_u16()),
    }
}

#[test]
fn a_key_is_text_with_or_without_quotes() {
    assert_eq!(read("\"k-1\""), read("k-1"));
    assert_eq!(read(" k-1\t"), read("k-1"));
    assert_eq!(read("\"a \\\"b\\\\\"").unwrap(), "http:3:ann:a \"b\\");
    assert!(read("8e03978e-40d5-43dd-bc93-6894a57f9324").is_ok());
    assert!(read("YWJj/+==:.~").is_ok());
    assert!(read(&"k".repeat(255)).is_ok());
    for value in [
        "",
        " ",
        "\"\"",
        "\"k",
        "k\"",
        "\"k\"x",
        "\"k\";a=1",
        "\"k\", \"l\"",
        "a b",
        "a,b",
        "a;b",
        "a\\b",
        "\"a\\b\"",
        "\u{fc}",
        "\"\u{fc}\"",
        "\"a\tb\"",
        &"k".repeat(256),
        &format!("\"{}\"", "k".repeat(256)),
    ] {
        assert_eq!(read(value), Err(400), "{value}");
    }
    assert_eq!(
        IdempotencyKey::read(&HeaderMap::new()).map_err(|_| ()),
        Ok(None)
    );
    let mut twice = HeaderMap::new();
    twice.append("idempotency-key", HeaderValue::from_static("k"));
    twice.append("idempotency-key", HeaderValue::from_static("k"));
    assert_eq!(IdempotencyKey::read(&twice).unwrap_err().status(), 400);
}

#[test]
fn no_two_callers_have_a_key_in_common() {
    let key = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::from_static(value));
        IdempotencyKey::read(&headers).unwrap().unwrap()
    };
    // Names and keys that could be cut apart in two ways.
    assert_ne!(key("k").of("ann"), key("k").of("bob"));
    assert_ne!(key("b:k").of("a"), key("k").of("a:b"));
    assert_ne!(key("1:x").of(""), key("x").of("1:"));
    assert_ne!(key("k").of("1:a"), key("a:k").of("1"));
}

#[test]
fn a_key_does_not_show_in_logs() {
    let mut headers = HeaderMap::new();
    headers.insert("idempotency-key", HeaderValue::from_static("secret"));
    let key = IdempotencyKey::read(&headers).unwrap().unwrap();
    assert!(!format!("{key:?}").contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_counts_once_for_each_of_its_callers() {
    let bank = Arc::new(Bank::serve().await);
    bank.account("a", 0).await;
    let mut clients = JoinSet::new();
    for i in 0..32 {
        let bank = bank.clone();
        clients.spawn(async move {
            let caller = ["ann", "bob"][i % 2];
            let deposit = bank.post("/accounts/a/deposits", &json!({ "amount": 1 }));
            let done = deposit
                .by(caller)
                .header("idempotency-key", "k")
                .send()
                .await;
            assert_eq!(done.status, 200);
            let done = done.json();
            (
                caller,
                done["version"].as_u64().unwrap(),
                done["repeated"].as_bool().unwrap(),
            )
        });
    }
    let answers = clients.join_all().await;
    for caller in ["ann", "bob"] {
        let own: Vec<_> = answers.iter().filter(|answer| answer.0 == caller).collect();
        let version = own[0].1;
        assert!(
            own.iter().all(|answer| answer.1 == version),
            "{caller}: {own:?}"
        );
        assert_eq!(
            own.iter().filter(|answer| !answer.2).count(),
            1,
            "{caller}: {own:?}"
        );
    }
    assert_eq!(bank.stands("a").await, (4, 2));
}

#[tokio::test]
async fn a_key_counts_once_for_commands_that_take_effect_together() {
    let bank = Bank::serve().await;
    bank.account("a", 10).await;
    bank.account("b", 0).await;
    let transfer = |caller| {
        let transfer = json!({ "from": "a", "to": "b", "amount": 3 });
        let transfer = bank.post("/transfers", &transfer).by(caller);
        transfer.header("idempotency-key", "\"t-1\"").send()
    };
    let first = transfer("ann").await;
    let again = transfer("ann").await;
    assert_eq!(first.json()["repeated"], false);
    assert_eq!(again.json()["repeated"], true);
    assert_eq!(
        first.header("eventfold-position"),
        again.header("eventfold-position")
    );
    assert_eq!(transfer("bob").await.json()["repeated"], false);
    assert_eq!((bank.stands("a").await.1, bank.stands("b").await.1), (4, 6));
}

#[tokio::test]
async fn another_command_under_a_key_is_refused() {
    let bank = Bank::serve().await;
    bank.account("a", 0).await;
    let deposit = |caller, amount| {
        let deposit = bank.post("/accounts/a/deposits", &json!({ "amount": amount }));
        deposit.by(caller).header("idempotency-key", "k").send()
    };
    assert_eq!(deposit("ann", 1).await.status, 200);
    let problem = deposit("ann", 2).await.problem(422, "key-reused");
    assert!(!problem.to_string().contains("http:3:ann"), "{problem}");
    // Of another caller it tells nothing, not even that the key is in use.
    assert_eq!(deposit("bob", 2).await.json()["repeated"], false);
    assert_eq!(bank.stands("a").await, (4, 3));
}

#[tokio::test]
async fn a_route_may_require_a_key() {
    let bank = Bank::serve().await;
    bank.account("a", 5).await;
    let withdraw = || bank.post("/accounts/a/withdrawals", &json!({ "amount": 1 }));
    withdraw().send().await.problem(400, "key-required");
    withdraw()
        .header("idempotency-key", "\"")
        .send()
        .await
        .problem(400, "malformed");
    assert_eq!(
        withdraw()
            .header("idempotency-key", "k")
            .send()
            .await
            .status,
        200
    );
    assert_eq!(bank.stands("a").await, (3, 4));
}
