//! A ticket is answered in time, or escalated.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use crate::{Desk, request};

#[tokio::test]
async fn a_ticket_that_is_not_answered_in_time_goes_to_whoever_is_on_call() {
    let desk = Desk::open().await;
    let ben = json!({ "agent": "ben" });
    desk.put("/api/queues/support/on-call", ben).await.is(200);
    desk.open_ticket("t-1", "support").await.is(201);
    desk.pass(29).await;
    assert_eq!(desk.state("t-1").await["status"], "Waiting");
    desk.pass(1).await;
    let state = desk.state("t-1").await;
    assert_eq!(
        (&state["status"], &state["agent"]),
        (&json!("Escalated"), &json!("ben"))
    );
    assert_eq!(desk.listed("status=escalated").await, ["t-1"]);
}

#[tokio::test]
async fn a_ticket_that_is_answered_in_time_is_not_escalated() {
    let desk = Desk::open().await;
    desk.open_ticket("t-1", "support").await.is(201);
    desk.pass(29).await;
    let text = json!({ "text": "Run." });
    desk.post("/api/tickets/t-1/answers", text).await.is(200);
    desk.pass(1_000).await;
    assert_eq!(desk.state("t-1").await["status"], "Answered");
    // A further question is due as the first one was.
    let text = json!({ "text": "And then?" });
    desk.post("/api/tickets/t-1/questions", text).await.is(200);
    desk.pass(29).await;
    assert_eq!(desk.state("t-1").await["status"], "Waiting");
    desk.pass(1).await;
    assert_eq!(desk.state("t-1").await["status"], "Escalated");
}

#[tokio::test]
async fn a_call_that_reached_nobody_is_a_dead_letter_and_is_replayed_when_somebody_is_on_call() {
    let desk = Desk::open().await;
    desk.open_ticket("t-1", "support").await.is(201);
    desk.pass(30).await;
    let health = desk.get("/health").await.is(200);
    assert!(health.text.contains("dead-letters"), "{}", health.text);
    assert_eq!(desk.state("t-1").await["agent"], json!(null));

    let ben = json!({ "agent": "ben" });
    desk.put("/api/queues/support/on-call", ben).await.is(200);
    let letters = desk.get("/admin/dead-letters").await.is(200);
    let hidden = |name: &str| {
        let begin = format!("name=\"{name}\" value=\"");
        let rest = letters.text.split_once(&begin).unwrap().1;
        rest.split('"').next().unwrap().to_owned()
    };
    let form = ["of", "letter", "token"].map(|name| format!("{name}={}", hidden(name)));
    let form = Body::from(form.join("&"));
    let media_type = [("content-type", "application/x-www-form-urlencoded")];
    let replay = request(Method::POST, "/admin/replay", &media_type, form);
    desk.ask(replay).await.is(303);
    desk.settle().await;
    assert_eq!(desk.state("t-1").await["agent"], "ben");
    let health = desk.get("/health").await.is(200);
    assert!(!health.text.contains("dead-letters"), "{}", health.text);
}

#[tokio::test]
async fn an_escalated_ticket_that_moves_goes_to_whoever_is_on_call_there() {
    let desk = Desk::open().await;
    for (queue, agent) in [("support", "ben"), ("billing", "cid")] {
        let path = format!("/api/queues/{queue}/on-call");
        desk.put(&path, json!({ "agent": agent })).await.is(200);
    }
    desk.open_ticket("t-1", "support").await.is(201);
    desk.post("/api/tickets/t-1/escalation", json!({}))
        .await
        .is(200);
    desk.settle().await;
    assert_eq!(desk.state("t-1").await["agent"], "ben");
    desk.move_ticket("t-1", "support", "billing").await.is(200);
    desk.settle().await;
    assert_eq!(desk.state("t-1").await["agent"], "cid");
}
