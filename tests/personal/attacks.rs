//! What somebody might do with the files: move ciphertext, swap keys, lose them.

use std::io;

use eventfold_es::personal::MemoryKeys;
use eventfold_es::prelude::*;
use eventfold_es::{AggregateStore, DecodeError};

use crate::domain::{Customer, Registered, known};
use crate::support::{ANN, BOB, Place, customer, register, registered};

async fn two_events(place: &Place) -> (AggregateStore, [eventfold::Event; 2]) {
    let store = place.open().await;
    register(&store, 42, ANN).await;
    register(&store, 7, BOB).await;
    let ann = store
        .read_events("customer", "c-42")
        .await
        .unwrap()
        .remove(0);
    let bob = store
        .read_events("customer", "c-7")
        .await
        .unwrap()
        .remove(0);
    (store, [ann, bob])
}

fn refused(event: &eventfold::Event) -> String {
    match Registered::from_eventfold(event) {
        Err(DecodeError::Malformed { source, .. }) => source.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn ciphertext_that_is_moved_to_another_event_or_field_is_not_read() {
    let place = Place::new();
    let (_store, [ann, bob]) = two_events(&place).await;
    assert!(Registered::from_eventfold(&ann).is_ok());

    let mut moved = bob.clone();
    moved.data["name"] = ann.data["name"].clone();
    assert!(
        refused(&moved).contains("`/name` was moved there"),
        "{}",
        refused(&moved)
    );
    // With the place of the field that it is put into, it is not authentic.
    moved.data["name"]["event"] = bob.id.clone().unwrap().into();
    assert!(
        refused(&moved).contains("not as it was stored"),
        "{}",
        refused(&moved)
    );

    let mut swapped = ann.clone();
    swapped.data["name"] = ann.data["email"].clone();
    swapped.data["email"] = ann.data["name"].clone();
    assert!(refused(&swapped).contains("was moved there"));
    swapped.data["name"]["field"] = "/name".into();
    assert!(refused(&swapped).contains("not as it was stored"));

    let mut of_another = ann.clone();
    of_another.data["name"]["$personal"] = "customer:7".into();
    assert!(refused(&of_another).contains("not as it was stored"));

    let mut changed = ann.clone();
    let sealed = ann.data["name"]["sealed"].as_str().unwrap();
    let first = if sealed.starts_with('A') { "B" } else { "A" };
    changed.data["name"]["sealed"] = format!("{first}{}", &sealed[1..]).into();
    assert!(refused(&changed).contains("not as it was stored"));

    // Under an id that is not the event's own, or without one.
    let mut copied = ann.clone();
    for id in [Some("other".to_owned()), None] {
        copied.id = id;
        assert!(refused(&copied).contains("was moved there"));
    }
}

#[tokio::test]
async fn a_store_does_not_take_moved_ciphertext_in() {
    let place = Place::new();
    let (store, [ann, mut bob]) = two_events(&place).await;
    bob.data["name"] = ann.data["name"].clone();
    bob.id = Some("another".to_owned());
    let injected =
        store.inject_event::<Customer>("c-8", bob, eventfold_es::InjectOptions::default());
    let refused = injected.await.unwrap_err().to_string();
    assert!(refused.contains("was moved there"), "{refused}");
}

/// Opens a store on the data with other keys.
async fn open_error(place: &Place, builder: eventfold_es::AggregateStoreBuilder) -> io::Error {
    let error = builder.open().await.unwrap_err();
    // Nothing happened to the store.
    let store = place.open().await;
    let ann = customer(&store, "c-42").await;
    assert_eq!(known(&ann.name), ANN);
    store.shutdown().await.unwrap();
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_another_store_no_keys_and_lost_keys_are_refused() {
    let place = Place::new();
    let (store, _) = two_events(&place).await;
    store.shutdown().await.unwrap();
    drop(store);
    let other = Place::new();
    let (store, _) = two_events(&other).await;
    store.shutdown().await.unwrap();
    drop(store);

    let error = open_error(&place, place.builder().keys(other.keys())).await;
    assert!(
        error
            .to_string()
            .contains("the keys are those of the store"),
        "{error}"
    );
    let error = open_error(&place, place.builder()).await;
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let error = open_error(&place, place.builder().keys(MemoryKeys::new())).await;
    assert!(error.to_string().contains("there are no keys"), "{error}");
    // A new store does not take them either.
    let new = AggregateStore::builder(place.path().join("new")).keys(place.keys());
    let error = new.open().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the keys are those of the store"),
        "{error}"
    );
}

/// The file of keys was put back from a copy that lacks the newest ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_missing_is_an_error_and_not_an_erasure() {
    let place = Place::new();
    let store = place.open().await;
    register(&store, 42, ANN).await;
    let file = place.path().join("keys/keys.jsonl");
    let older = std::fs::read(&file).unwrap();
    register(&store, 7, BOB).await;
    store.shutdown().await.unwrap();
    drop(store);
    std::fs::write(&file, older).unwrap();

    let store = place.builder().keys(place.keys()).open().await.unwrap();
    let ann = registered(&store, 43, ANN).await;
    assert_eq!(known(&ann.state().await.unwrap().name), ANN);
    let bob = store.get::<Customer>("c-7").await.unwrap();
    let error = bob.state().await.unwrap_err().to_string();
    assert!(
        error.contains("the key store has no key for `customer:7`"),
        "{error}"
    );
}

#[tokio::test]
async fn values_of_a_store_that_is_not_open_are_not_read() {
    let place = Place::new();
    let (store, [ann, _]) = two_events(&place).await;
    let mut elsewhere = ann.clone();
    elsewhere.data["name"]["keys"] = "0".repeat(32).into();
    assert!(refused(&elsewhere).contains("no store with the keys of the store"));
    drop(store);
}
