//! Pages, filters, and what a program on call asks for.

use axum::http::Method;
use serde_json::json;

use crate::Desk;

#[tokio::test]
async fn the_list_is_what_was_asked_for() {
    let desk = Desk::open().await;
    desk.open_ticket("t-1", "support").await.is(201);
    desk.open_ticket("t-2", "billing").await.is(201);
    desk.open_ticket("t-3", "support").await.is(201);
    desk.post("/api/tickets/t-3/answers", json!({ "text": "Run." }))
        .await
        .is(200);
    assert_eq!(desk.listed("queue=support").await, ["t-1", "t-3"]);
    assert_eq!(desk.listed("status=answered").await, ["t-3"]);
    assert_eq!(desk.listed("queue=billing&search=PRINT").await, ["t-2"]);
    assert!(desk.listed("search=nothing%25").await.is_empty());
    // A client that names a position waits for it, but not for one that never was.
    let answer = desk.post("/api/tickets/t-1/close", json!({})).await.is(200);
    let after = answer.header("eventfold-position").to_owned();
    let closed = desk.listed(&format!("status=closed&after={after}")).await;
    assert_eq!(closed, ["t-1"]);
    let never = desk.get("/api/tickets?after=9999").await.is(400);
    never.says("ahead of the newest event");
}

#[tokio::test]
async fn what_people_write_is_shown_and_never_run() {
    let desk = Desk::open().await;
    let hostile = "</title><script>alert(1)</script>\" onload=\"x";
    let ticket = json!({
        "customer": "ann", "subject": hostile, "text": hostile, "queue": "support",
        "answer_within_minutes": 30,
    });
    let path = "/tickets/%3Cscript%3E%2F%3F";
    desk.put(&format!("/api{path}"), ticket).await.is(201);
    let agent = json!({ "agent": hostile });
    desk.put("/api/queues/support/on-call", agent).await.is(200);
    for page in ["/", path, "/queues"] {
        let answer = desk.get(page).await.is(200);
        assert!(!answer.text.contains("<script>"), "{page}: {}", answer.text);
        assert!(
            answer
                .header("content-security-policy")
                .contains("default-src 'self'")
        );
    }
    // The link of a ticket leads to it, whatever its id is.
    assert!(
        desk.get("/")
            .await
            .text
            .contains(&format!("href=\"{path}\""))
    );
    let none = desk.get("/tickets/none").await.is(404);
    assert!(
        none.text.contains("<h1>There is nothing here</h1>"),
        "{}",
        none.text
    );
}

#[tokio::test]
async fn metrics_count_the_commands() {
    let desk = Desk::open().await;
    desk.open_ticket("t-1", "support").await.is(201);
    for _ in 0..2 {
        let metrics = desk.get("/metrics").await.is(200).text;
        let line = "eventfold_commands_total{aggregate_type=\"ticket\",outcome=\"succeeded\"} 1";
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[tokio::test]
async fn what_follows_from_a_request_is_in_its_trace() {
    let desk = Desk::open().await;
    let ben = json!({ "agent": "ben" });
    desk.put("/api/queues/support/on-call", ben).await.is(200);
    desk.open_ticket("t-1", "support").await.is(201);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let traceparent = format!("00-{trace}-b7ad6b7169203331-01");
    let headers = [
        ("traceparent", traceparent.as_str()),
        ("x-remote-user", "cid"),
    ];
    let path = "/api/tickets/t-1/escalation";
    desk.send(Method::POST, path, &headers, json!({}))
        .await
        .is(200);
    desk.settle().await;
    let events = desk.store.read_events("ticket", "t-1").await.unwrap();
    let assigned = events.last().unwrap();
    assert_eq!(assigned.event_type, "Assigned");
    let meta = assigned.meta.as_ref().unwrap();
    assert_eq!(
        (&meta["traceparent"], &meta["correlation_id"]),
        (&json!(traceparent), &json!(trace))
    );
}
