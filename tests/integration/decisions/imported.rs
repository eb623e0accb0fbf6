//! Decisions on events that were imported.

use std::io::Cursor;

use super::*;

#[tokio::test]
async fn a_decision_knows_imported_events_and_the_idempotency_key_of_an_imported_decision() {
    let dir = temp_dir();
    let store = open(&dir).await;
    define(&store, "c-1", 1).await;
    let context = || CommandContext::default().with_idempotency_key("once");
    let subscribing = store.decide_with::<Subscribing>(subscribe("c-1", "ann"), context());
    assert!(!subscribing.await.unwrap().repeated);
    let (lines, _) = store.export().write_to(Vec::new()).await.unwrap();

    let to = temp_dir();
    let other = open(&to).await;
    // The states of both are in memory, without events.
    let unknown = other.decide::<Subscribing>(subscribe("c-1", "bob")).await;
    assert_eq!(refused(unknown), CourseError::Unknown);
    other.import(Cursor::new(lines)).await.unwrap();
    let full = other.decide::<Subscribing>(subscribe("c-1", "bob")).await;
    assert_eq!(refused(full), CourseError::Full);
    let head = other.head();
    let again = other
        .decide_with::<Subscribing>(subscribe("c-1", "ann"), context())
        .await;
    assert!(again.unwrap().repeated);
    assert_eq!((other.head(), subscribed(&other, "c-1").await), (head, 1));
}
