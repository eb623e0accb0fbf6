//! Conditional requests by RFC 9110, section 13.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::IntoResponse as _;
use eventfold_es::Version;
use eventfold_es::http::{Precondition, etag};
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::Bank;

fn condition(headers: &[(&'static str, &str)]) -> Result<Precondition, u16> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    Precondition::read(&map).map_err(|problem| problem.status().as_u16())
}

const NONE: [u64; 0] = [];

/// The versions from 0 to 9 at which the condition holds.
fn holds(headers: &[(&'static str, &str)]) -> Vec<u64> {
    let condition = condition(headers).unwrap();
    let versions = (0..10).filter(|version| condition.holds(Version::from(*version)));
    versions.collect()
}

#[test]
fn if_match_compares_strongly_and_with_each_tag_of_a_list() {
    let all: Vec<u64> = (0..10).collect();
    assert_eq!(holds(&[]), all);
    assert_eq!(holds(&[("if-match", "\"7\"")]), [7]);
    assert_eq!(holds(&[("if-match", "\"7\", \"9\"")]), [7, 9]);
    assert_eq!(holds(&[("if-match", "\"7\",,\t\"9\" ,")]), [7, 9]);
    assert_eq!(
        holds(&[("if-match", "\"7\""), ("if-match", "\"9\"")]),
        [7, 9]
    );
    assert_eq!(holds(&[("if-match", "W/\"7\"")]), NONE);
    assert_eq!(holds(&[("if-match", "W/\"7\", \"9\"")]), [9]);
    assert_eq!(holds(&[("if-match", "*")]), all[1..]);
    // Tags that no version has.
    for tag in [
        "\"07\"",
        "\"+7\"",
        "\"\"",
        "\"a,b\"",
        "\"0\"",
        "\"\u{fc}\"",
        "\"18446744073709551616\"",
    ] {
        assert_eq!(holds(&[("if-match", tag)]), NONE, "{tag}");
    }
}

#[test]
fn if_none_match_compares_weakly() {
    let but = |versions: &[u64]| -> Vec<u64> {
        (0..10)
            .filter(|version| !versions.contains(version))
            .collect()
    };
    assert_eq!(holds(&[("if-none-match", "*")]), [0]);
    assert_eq!(holds(&[("if-none-match", "\"7\"")]), but(&[7]));
    assert_eq!(holds(&[("if-none-match", "W/\"7\", \"8\"")]), but(&[7, 8]));
    assert_eq!(holds(&[("if-none-match", "\"0\"")]), but(&[]));
}

#[test]
fn with_both_headers_both_must_hold() {
    assert_eq!(
        holds(&[("if-match", "\"7\", \"8\""), ("if-none-match", "\"8\"")]),
        [7]
    );
    assert_eq!(holds(&[("if-match", "*"), ("if-none-match", "*")]), NONE);
    assert_eq!(
        holds(&[("if-match", "\"7\""), ("if-none-match", "*")]),
        NONE
    );
}

#[test]
fn what_is_no_list_of_tags_is_malformed() {
    for value in [
        "7",
        "",
        " ",
        ",",
        "\"7",
        "7\"",
        "\"7\" \"8\"",
        "\"7\"8",
        "w/\"7\"",
        "W/7",
        "W/ \"7\"",
        "*, \"7\"",
        "\"7\", *",
        "**",
        "'7'",
        "\"a b\"",
    ] {
        for name in ["if-match", "if-none-match"] {
            assert_eq!(condition(&[(name, value)]), Err(400), "{name}: {value}");
        }
    }
}

#[test]
fn a_required_condition_guards_against_lost_updates() {
    let required = |headers: &[(&'static str, &str)]| {
        let condition = condition(headers).unwrap();
        let required = condition.required();
        required.map_or_else(|problem| problem.status().as_u16(), |_| 200)
    };
    assert_eq!(required(&[]), 428);
    assert_eq!(required(&[("if-none-match", "\"7\"")]), 428);
    assert_eq!(required(&[("if-none-match", "*")]), 200);
    assert_eq!(required(&[("if-match", "*")]), 200);
    assert_eq!(required(&[("if-match", "\"7\"")]), 200);
}

#[test]
fn an_answer_that_failed_is_not_looked_at() {
    // RFC 9110, section 13.2.1
    let condition = condition(&[("if-match", "\"7\"")]).unwrap();
    let answer = condition.respond(Version::from(8), axum::http::StatusCode::NOT_FOUND);
    assert_eq!(answer.status(), 404);
    assert_eq!(condition.respond(Version::from(8), "text").status(), 412);
    let answer = Precondition::default().respond(Version::from(8), "text".into_response());
    assert_eq!(answer.headers()["etag"], etag(Version::from(8)).unwrap());
}

#[tokio::test]
async fn a_read_is_answered_whole_or_not_modified() {
    let bank = Bank::serve().await;
    assert_eq!(bank.get("/accounts/a").send().await.status, 404);
    bank.account("a", 50).await;
    let whole = bank.get("/accounts/a").send().await;
    assert_eq!(whole.header("etag"), Some("\"2\""));
    assert_eq!(whole.json(), json!({ "owner": "ann", "balance": 50 }));
    for tags in ["\"2\"", "W/\"2\"", "\"1\", \"2\"", "*"] {
        let same = bank
            .get("/accounts/a")
            .header("if-none-match", tags)
            .send()
            .await;
        assert_eq!(same.status, 304, "{tags}");
        assert_eq!(same.header("etag"), Some("\"2\""));
        assert_eq!(same.header("cache-control"), Some("no-cache"));
        assert!(same.body.is_empty() && same.header("content-type").is_none());
    }
    let other = bank
        .get("/accounts/a")
        .header("if-none-match", "\"1\"")
        .send()
        .await;
    assert_eq!(
        (other.status.as_u16(), other.json()["balance"].as_u64()),
        (200, Some(50))
    );
    let head = bank
        .ask(Method::HEAD, "/accounts/a")
        .header("if-none-match", "\"2\"");
    assert_eq!(head.send().await.status, 304);
    let failed = bank
        .get("/accounts/a")
        .header("if-match", "\"1\"")
        .send()
        .await;
    assert_eq!(failed.problem(412, "version-not-met")["version"], 2);
    // `If-Match` goes first: 412, although the client has the representation.
    let both = bank
        .get("/accounts/a")
        .header("if-match", "\"1\"")
        .header("if-none-match", "\"2\"");
    assert_eq!(both.send().await.status, 412);
    // What has no date of modification ignores conditions on it.
    let old = bank
        .get("/accounts/a")
        .header("if-modified-since", "Mon, 30 Nov 2099 00:00:00 GMT");
    assert_eq!(old.send().await.status, 200);
}

#[tokio::test]
async fn a_command_takes_effect_only_if_its_condition_holds() {
    let bank = Bank::serve().await;
    let owner = json!({ "owner": "ann" });
    let open = || {
        bank.post("/accounts/a", &owner)
            .header("if-none-match", "*")
            .send()
    };
    let opened = open().await;
    assert_eq!(
        (opened.status.as_u16(), opened.header("etag")),
        (201, Some("\"1\""))
    );
    let again = open().await;
    assert_eq!(again.problem(412, "version-not-met")["version"], 1);
    assert_eq!(again.header("etag"), Some("\"1\""));

    let deposit = |name: &'static str, tags: &str| {
        let deposit = bank.post("/accounts/a/deposits", &json!({ "amount": 1 }));
        deposit.header(name, tags).send()
    };
    // Each holds, and the version goes from 1 to 6.
    for (name, tags) in [
        ("if-match", "\"1\""),
        ("if-match", "\"1\", \"2\""),
        ("if-match", "*"),
        ("if-none-match", "\"1\", W/\"99\""),
        ("if-none-match", "\"1\""),
    ] {
        assert_eq!(deposit(name, tags).await.status, 200, "{name}: {tags}");
    }
    for (name, tags) in [
        ("if-match", "\"5\""),
        ("if-match", "W/\"6\""),
        ("if-match", "\"5\", \"7\""),
        ("if-match", "\"abc\""),
        ("if-none-match", "*"),
        ("if-none-match", "\"6\""),
        ("if-none-match", "W/\"6\""),
    ] {
        let failed = deposit(name, tags).await;
        assert_eq!(
            failed.problem(412, "version-not-met")["version"],
            6,
            "{name}: {tags}"
        );
    }
    assert_eq!(bank.stands("a").await, (6, 5));
}

#[tokio::test]
async fn a_known_key_is_answered_although_the_condition_holds_no_more() {
    let bank = Bank::serve().await;
    for (id, name, tags) in [
        ("a", "if-match", "\"2\""),
        ("b", "if-match", "\"2\", \"9\""),
        ("c", "if-none-match", "\"1\", \"4\""),
    ] {
        bank.account(id, 0).await;
        let path = format!("/accounts/{id}/deposits");
        let deposit = || bank.post(&path, &json!({ "amount": 1 }));
        let with_key = || {
            deposit()
                .header(name, tags)
                .header("idempotency-key", "k")
                .send()
        };
        let first = with_key().await;
        assert_eq!(first.json()["repeated"], false, "{tags}");
        assert_eq!(deposit().send().await.status, 200);
        assert_eq!(
            deposit().header(name, tags).send().await.status,
            412,
            "{tags}"
        );
        let again = with_key().await;
        assert_eq!(again.json()["repeated"], true, "{tags}");
        assert_eq!(again.header("etag"), first.header("etag"));
        assert_eq!(bank.stands(id).await, (4, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_clients_with_one_version_exactly_one_wins() {
    const CLIENTS: u64 = 64;
    let bank = Arc::new(Bank::serve().await);
    bank.account("a", 0).await;
    let mut clients = JoinSet::new();
    for i in 0..CLIENTS {
        let bank = bank.clone();
        clients.spawn(async move {
            let caller = format!("client-{i}");
            loop {
                let read = bank.get("/accounts/a").by(&caller).send().await;
                let tag = read.header("etag").unwrap().to_owned();
                let done = bank
                    .post("/accounts/a/deposits", &json!({ "amount": 1 }))
                    .by(&caller)
                    .header("if-match", &tag)
                    .send()
                    .await;
                if done.status == 200 {
                    let version = done.json()["version"].as_u64().unwrap();
                    assert_eq!(
                        tag,
                        format!("\"{}\"", version - 1),
                        "it was decided on another version"
                    );
                    // What it saw and what it stored belong together.
                    return (version, read.json()["balance"].as_u64().unwrap());
                }
                done.problem(412, "version-not-met");
            }
        });
    }
    let won = clients.join_all().await;
    let versions: BTreeSet<u64> = won.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, (3..3 + CLIENTS).collect());
    let seen: BTreeSet<u64> = won.iter().map(|(_, balance)| *balance).collect();
    assert_eq!(seen, (0..CLIENTS).collect(), "an update was lost");
    assert_eq!(bank.stands("a").await, (2 + CLIENTS, CLIENTS));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_clients_that_create_one_account_exactly_one_does() {
    let bank = Arc::new(Bank::serve().await);
    let mut clients = JoinSet::new();
    for i in 0..16 {
        let bank = bank.clone();
        clients.spawn(async move {
            let owner = json!({ "owner": format!("client-{i}") });
            let opened = bank
                .post("/accounts/a", &owner)
                .header("if-none-match", "*");
            opened.send().await.status.as_u16()
        });
    }
    let mut answers = clients.join_all().await;
    answers.sort_unstable();
    let mut expected = vec![412; 16];
    expected[0] = 201;
    assert_eq!(answers, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_clients_with_one_list_of_tags_exactly_one_wins() {
    let bank = Arc::new(Bank::serve().await);
    for round in 0..8 {
        let id = format!("a-{round}");
        bank.account(&id, 0).await;
        let mut clients = JoinSet::new();
        for _ in 0..16 {
            let (bank, path) = (bank.clone(), format!("/accounts/{id}/deposits"));
            clients.spawn(async move {
                let deposit = bank.post(&path, &json!({ "amount": 1 }));
                let answer = deposit.header("if-match", "\"2\", \"99\"").send().await;
                answer.status.as_u16()
            });
        }
        let mut answers = clients.join_all().await;
        answers.sort_unstable();
        let mut expected = vec![412; 16];
        expected[0] = 200;
        assert_eq!(answers, expected);
        assert_eq!(bank.stands(&id).await, (3, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_tags_hold_again_after_another_command_in_between() {
    let bank = Arc::new(Bank::serve().await);
    bank.account("a", 0).await;
    let tags: Vec<String> = (2..40).map(|version| format!("\"{version}\"")).collect();
    let tags = tags.join(", ");
    let mut clients = JoinSet::new();
    for _ in 0..32 {
        let (bank, tags) = (bank.clone(), tags.clone());
        clients.spawn(async move {
            let deposit = bank.post("/accounts/a/deposits", &json!({ "amount": 1 }));
            deposit
                .header("if-match", &tags)
                .send()
                .await
                .status
                .as_u16()
        });
    }
    let answers = clients.join_all().await;
    assert_eq!(answers, [200; 32]);
    assert_eq!(bank.stands("a").await, (34, 32));
}
