//! What happens, as it happens.

use axum::body::Body;
use axum::http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;

use crate::{Desk, PATIENCE, request};

/// The next `events` of the stream, each with its position.
async fn live(desk: &Desk, path: &str, headers: &[(&str, &str)], events: usize) -> Vec<String> {
    let response = desk.respond(request(Method::GET, path, headers, Body::empty()));
    let response = response.await;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let mut text = String::new();
    while text.matches("\n\n").count() < events {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await.unwrap();
        let data = frame.unwrap().unwrap().into_data().unwrap();
        text.push_str(std::str::from_utf8(&data).unwrap());
    }
    let events = text.split_terminator("\n\n").map(|event| {
        let fields = event.lines().map(|line| line.split_once(": ").unwrap().1);
        fields.collect::<Vec<_>>().join(" ")
    });
    events.collect()
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_exactly_where_it_was() {
    let desk = Desk::open().await;
    desk.open_ticket("t-1", "support").await.is(201);
    let head: u64 = desk.store.head().to_string().parse().unwrap();
    let all = live(
        &desk,
        "/api/live?after=0",
        &[],
        usize::try_from(head).unwrap(),
    )
    .await;
    let names = ["Opened", "AnswerDue", "TicketEntered"];
    let last = names
        .iter()
        .zip(head - 2..)
        .map(|(name, at)| format!("{at} \"{name}\""));
    let last: Vec<_> = last.collect();
    assert!(all.ends_with(&last), "{all:?}");

    // Whatever the address says: that is where the page began.
    let at = (head - 1).to_string();
    let last_event_id = [("last-event-id", at.as_str())];
    let rest = live(&desk, "/api/live?after=0", &last_event_id, 1).await;
    assert_eq!(rest, last[2..]);

    // One that begins gets what comes from now on.
    let text = json!({ "text": "Run." });
    let (new, _) = tokio::join!(
        live(&desk, "/api/live", &[], 1),
        desk.post("/api/tickets/t-1/answers", text)
    );
    assert_eq!(new, [format!("{} \"Answered\"", head + 1)]);
}

#[tokio::test]
async fn a_page_names_the_position_from_which_it_is_to_be_told() {
    let desk = Desk::open().await;
    let head = desk.store.head();
    for page in ["/", "/queues", "/customers"] {
        let text = desk.get(page).await.is(200).text;
        assert!(
            text.contains(&format!("data-live=\"{head}\"")),
            "{page}: {text}"
        );
    }
}
