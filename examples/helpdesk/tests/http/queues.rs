//! A ticket and its queues change together.

use serde_json::json;

use crate::Desk;

#[tokio::test]
async fn a_ticket_that_moves_leaves_one_queue_and_enters_the_other() {
    let desk = Desk::open().await;
    for queue in ["support", "billing"] {
        let path = format!("/api/queues/{queue}");
        desk.put(&path, json!({ "room": 1 })).await.is(200);
    }
    desk.open_ticket("t-1", "support").await.is(201);
    desk.open_ticket("t-2", "support")
        .await
        .is(422)
        .says("full");
    desk.move_ticket("t-1", "support", "billing").await.is(200);
    assert_eq!(desk.state("t-1").await["queue"], "billing");
    assert_eq!(desk.listed("queue=billing").await, ["t-1"]);
    // Support has room again, and billing has none.
    desk.open_ticket("t-2", "support").await.is(201);
    desk.open_ticket("t-3", "billing")
        .await
        .is(422)
        .says("full");
}

#[tokio::test]
async fn a_ticket_that_a_full_queue_does_not_take_stays_where_it_is() {
    let desk = Desk::open().await;
    let path = "/api/queues/billing";
    desk.put(path, json!({ "room": 0 })).await.is(200);
    desk.put("/api/queues/support", json!({ "room": 1 }))
        .await
        .is(200);
    desk.open_ticket("t-1", "support").await.is(201);
    let moved = desk.move_ticket("t-1", "support", "billing").await;
    moved.is(422).says("full");
    assert_eq!(desk.listed("queue=support").await, ["t-1"]);
    // It takes the room that it had: nothing of the move happened.
    desk.open_ticket("t-2", "support")
        .await
        .is(422)
        .says("full");
}

#[tokio::test]
async fn a_ticket_that_is_closed_makes_room() {
    let desk = Desk::open().await;
    desk.put("/api/queues/support", json!({ "room": 1 }))
        .await
        .is(200);
    desk.open_ticket("t-1", "support").await.is(201);
    desk.post("/api/tickets/t-1/close", json!({})).await.is(200);
    desk.open_ticket("t-2", "support").await.is(201);
    assert_eq!(desk.listed("").await, ["t-2"]);
    assert_eq!(desk.listed("status=closed").await, ["t-1"]);
    let again = desk.post("/api/tickets/t-1/close", json!({})).await;
    again.is(422).says("closed");
}

#[tokio::test]
async fn a_ticket_is_a_known_customers_and_in_a_queue_that_there_is() {
    let desk = Desk::open().await;
    desk.open_ticket("t-1", "sales")
        .await
        .is(422)
        .says("no such queue");
    let ticket = json!({
        "customer": "bob", "subject": "The printer", "text": "It is on fire.", "queue": "support",
        "answer_within_minutes": 30,
    });
    let opened = desk.put("/api/tickets/t-1", ticket).await;
    opened.is(422).says("no such customer");
    assert!(desk.listed("status=all").await.is_empty());
}
