//! Bodies that are too large, of another type, or not JSON.

use axum::http::Method;
use eventfold_es_tests_http::LARGEST_BODY;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Bank, in_time};

#[tokio::test]
async fn what_is_not_json_is_refused_by_its_type() {
    let bank = Bank::serve().await;
    bank.account("a", 0).await;
    let deposit = |types: &[&str]| {
        let mut asked = bank
            .ask(Method::POST, "/accounts/a/deposits")
            .body("{\"amount\":1}");
        for of_type in types {
            asked = asked.header("content-type", of_type);
        }
        asked.send()
    };
    for of_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "text/json",
        "json",
        "",
        "application/json; charset=latin1",
    ] {
        deposit(&[of_type]).await.problem(415, "wrong-type");
    }
    deposit(&[]).await.problem(415, "wrong-type");
    for of_type in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=\"utf-8\"",
        "application/vnd.bank+json; v=1",
    ] {
        assert_eq!(deposit(&[of_type]).await.status, 200, "{of_type}");
    }
    assert_eq!(bank.stands("a").await, (6, 4));
}

#[tokio::test]
async fn what_is_not_a_command_is_malformed() {
    let bank = Bank::serve().await;
    bank.account("a", 0).await;
    let deep = "[".repeat(2000);
    let bodies: [&[u8]; 12] = [
        b"",
        b" ",
        b"{",
        b"{\"amount\":1",
        b"{\"amount\":1}}",
        b"{\"amount\":-1}",
        b"{\"amount\":1.5}",
        b"{\"amount\":4294967296}",
        b"{\"amount\":\"1\"}",
        b"{\"amount\":1,\"more\":2}",
        b"{\"amount\":1,\"\xff\":2}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let asked = bank.ask(Method::POST, "/accounts/a/deposits");
        let answer = asked
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await;
        let problem = answer.problem(400, "malformed");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("The body: "), "{detail}");
    }
    assert_eq!(bank.stands("a").await, (2, 0));
}

#[tokio::test]
async fn a_large_body_is_refused_at_its_limit() {
    let bank = Bank::serve().await;
    bank.account("a", 0).await;
    let deposit = |size: usize| {
        let mut body = "{\"amount\":1}".to_owned();
        body.push_str(&" ".repeat(size - body.len()));
        let asked = bank.ask(Method::POST, "/accounts/a/deposits");
        asked
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    assert_eq!(deposit(LARGEST_BODY).await.status, 200);
    deposit(LARGEST_BODY + 1).await.problem(413, "too-large");
    deposit(1_000_000).await.problem(413, "too-large");
    assert_eq!(bank.stands("a").await, (3, 1));
}

/// Sends a request as it is, and returns what comes until the server closes the connection.
async fn raw(bank: &Bank, parts: &[&str]) -> String {
    let mut stream = TcpStream::connect(bank.address).await.unwrap();
    for part in parts {
        stream.write_all(part.as_bytes()).await.unwrap();
    }
    let mut answer = Vec::new();
    in_time(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_body_of_unknown_length_is_refused_at_its_limit() {
    let bank = Bank::serve().await;
    bank.account("a", 0).await;
    let head = "POST /accounts/a/deposits HTTP/1.1\r\nhost: bank\r\nauthorization: Bearer ann\r\n\
                content-type: application/json\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
    let five = [head, &chunk, &chunk, &chunk, &chunk, &chunk];
    assert!(raw(&bank, &five).await.starts_with("HTTP/1.1 413 "));
    let good = "c\r\n{\"amount\":1}\r\n0\r\n\r\n";
    assert!(raw(&bank, &[head, good]).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(bank.stands("a").await, (3, 1));
}

#[tokio::test]
async fn what_axum_refuses_is_a_problem_too() {
    let bank = Bank::serve().await;
    let nowhere = bank.get("/nowhere").send().await;
    assert_eq!(nowhere.status, 404);
    assert_eq!(
        nowhere.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(nowhere.json()["title"], "Not Found");
    let other = bank.ask(Method::PATCH, "/accounts/a").send().await;
    assert_eq!(
        (other.status.as_u16(), other.json()["status"].as_u64()),
        (405, Some(405))
    );
    assert_eq!(other.header("allow"), Some("GET,HEAD,POST"));
    let path = bank.get("/accounts/%ff").send().await;
    assert_eq!(
        (path.status.as_u16(), path.json()["type"].as_str()),
        (400, Some("about:blank"))
    );
    assert!(path.json()["detail"].is_string());
    let unknown = bank.get("/accounts/a").by("").send().await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.header("www-authenticate")),
        (401, Some("Bearer"))
    );
    assert_eq!(
        unknown.json(),
        json!({ "type": "about:blank", "title": "Unauthorized", "status": 401 })
    );
}
