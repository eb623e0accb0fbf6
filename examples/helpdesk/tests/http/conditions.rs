//! Two people at one ticket, a request that is sent twice, an address that two customers want.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use crate::{Desk, request};

#[tokio::test]
async fn who_has_not_seen_the_newest_of_a_ticket_changes_nothing() {
    let desk = Desk::open().await;
    desk.open_ticket("t-1", "support").await.is(201);
    let shown = desk.get("/api/tickets/t-1").await.is(200);
    let seen = [("if-match", shown.header("etag"))];
    for (path, body) in [("agent", json!({ "agent": "ben" })), ("close", json!({}))] {
        let path = format!("/api/tickets/t-1/{path}");
        let other = desk.post("/api/tickets/t-1/questions", json!({ "text": "And?" }));
        other.await.is(200);
        let late = desk.send(Method::POST, &path, &seen, body.clone()).await;
        late.is(412);
        let now = desk.get("/api/tickets/t-1").await;
        let seen = [("if-match", now.header("etag"))];
        desk.send(Method::POST, &path, &seen, body).await.is(200);
    }
    assert_eq!(desk.state("t-1").await["status"], "Closed");
}

#[tokio::test]
async fn a_command_that_is_sent_twice_takes_effect_once_for_each_who_sends_it() {
    let desk = Desk::open().await;
    desk.open_ticket("t-1", "support").await.is(201);
    let send = async |user, path: &str, body| {
        let headers = [("idempotency-key", "\"once\""), ("x-remote-user", user)];
        desk.send(Method::POST, path, &headers, body).await.is(200)
    };
    let (path, body) = ("/api/tickets/t-1/answers", json!({ "text": "Run." }));
    for (user, is_repeated) in [("ben", false), ("ben", true), ("cid", false)] {
        let answer = send(user, path, body.clone()).await;
        assert_eq!(answer.json()["repeated"], is_repeated);
    }
    let page = desk.get("/tickets/t-1").await.is(200).text;
    assert_eq!(page.matches("Run.").count(), 2);

    // Also one that changes several at once.
    let (path, body) = (
        "/api/tickets/t-1/move",
        json!({ "from": "support", "to": "billing" }),
    );
    for is_repeated in [false, true] {
        let answer = send("eve", path, body.clone()).await;
        assert_eq!(answer.json()["repeated"], is_repeated);
    }
}

#[tokio::test]
async fn an_address_belongs_to_one_of_those_who_register_at_once() {
    let desk = Desk::open().await;
    let register = async |id: usize| {
        let email = if id.is_multiple_of(2) {
            "eve@example.com"
        } else {
            " EVE@example.com"
        };
        let body = json!({ "name": "Eve", "email": email });
        desk.put(&format!("/api/customers/eve-{id}"), body)
            .await
            .status
    };
    let (a, b, c, d) = tokio::join!(register(0), register(1), register(2), register(3));
    let taken = [a, b, c, d]
        .iter()
        .filter(|status| status.as_u16() == 422)
        .count();
    assert_eq!(taken, 3);
    let customers = desk.get("/customers").await.is(200).text;
    assert_eq!(customers.matches("eve@example.com").count(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_as_a_problem() {
    let desk = Desk::open().await;
    let none = desk.get("/api/tickets/none").await.is(404);
    assert_eq!(none.header("content-type"), "application/problem+json");
    let answer = json!({ "text": "Run." });
    desk.post("/api/tickets/none/answers", answer).await.is(404);
    desk.post("/api/tickets/none/close", json!({}))
        .await
        .is(404);
    desk.put("/api/tickets/t-1", json!({ "subject": 1 }))
        .await
        .is(400);
    let large = json!({ "text": "a".repeat(100_000) });
    desk.post("/api/tickets/t-1/answers", large).await.is(413);
    desk.get("/api/tickets?after=here").await.is(400);
    // A page of another origin can send such a request, so it does nothing.
    desk.open_ticket("t-1", "support").await.is(201);
    let no_json = request(Method::POST, "/api/tickets/t-1/close", &[], Body::empty());
    desk.ask(no_json).await.is(415);
    let nothing = desk.get("/api/nothing").await.is(404);
    assert_eq!(nothing.header("content-type"), "application/problem+json");
}
