//! A key store that cannot be reached: what is read waits or fails, and is never taken for erased.

use std::sync::Arc;

use eventfold_es::personal::{KeyError, KeyFuture, KeyState, KeyStore, MemoryKeys};
use eventfold_es::{AggregateStore, ForgetError, Memory, OnFailure};

use crate::domain::{Customer, Greeter, Letters, Names, Visit, known};
use crate::support::{ANN, BOB, Line, customer, register, registered};

fn builder(memory: &Memory, keys: impl KeyStore) -> eventfold_es::AggregateStoreBuilder {
    let builder = AggregateStore::in_memory().keep_in(memory).keys(keys);
    builder
        .projection_with::<Names>(OnFailure::Skip)
        .process_manager_with::<Greeter>(OnFailure::Skip, eventfold_es::Retry::none())
}

/// A store with Ann and Bob, whose keys are in reach but not in memory.
async fn opened_again(memory: &Memory, line: &Line) -> AggregateStore {
    let keys = MemoryKeys::new();
    let store = AggregateStore::in_memory()
        .keep_in(memory)
        .keys(keys.clone())
        .open()
        .await
        .unwrap();
    register(&store, 42, ANN).await;
    register(&store, 7, BOB).await;
    store.shutdown().await.unwrap();
    drop(store);
    builder(memory, line.to(keys)).open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_key_that_is_out_of_reach_fails_and_is_read_later() {
    let (memory, line) = (Memory::default(), Line::default());
    let store = opened_again(&memory, &line).await;
    line.cut();
    let ann = store.get::<Customer>("c-42").await.unwrap();
    let error = ann.state().await.unwrap_err().to_string();
    assert!(
        error.contains("the key of `customer:42` cannot be reached: the line is cut"),
        "{error}"
    );
    assert!(ann.send(Visit).await.is_err());
    let error = store.projection::<Names>().unwrap_err().to_string();
    assert!(error.contains("the line is cut"), "{error}");
    drop(store.run_process_managers().await);
    let position = store.read_side().process_managers[0].follower.position;
    assert_eq!(position.to_string(), "0");

    line.mend();
    assert_eq!(known(&ann.state().await.unwrap().name), ANN);
    assert_eq!(store.projection::<Names>().unwrap().by_id["c-42"], ANN);
    store.run_process_managers().await.unwrap();
    let letters = store
        .get::<Letters>("sent")
        .await
        .unwrap()
        .state()
        .await
        .unwrap();
    assert_eq!(letters.to.iter().map(known).collect::<Vec<_>>(), [ANN, BOB]);
    let side = store.read_side();
    assert_eq!(
        (
            side.projections[0].skipped_count,
            side.process_managers[0].follower.skipped_count
        ),
        (0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_that_cannot_be_made_stores_nothing() {
    let (memory, line) = (Memory::default(), Line::default());
    let store = opened_again(&memory, &line).await;
    line.cut();
    let nine = store.get::<Customer>("c-9").await.unwrap();
    let command = crate::support::recommend((9, ANN), (10, BOB));
    let error = nine.send(command.clone()).await.unwrap_err().to_string();
    assert!(
        error.contains("the key of `customer:9` cannot be reached"),
        "{error}"
    );
    line.mend();
    assert_eq!(u64::from(nine.send(command).await.unwrap().version), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_cannot_be_told_is_an_error_and_is_made_good() {
    let (memory, line) = (Memory::default(), Line::default());
    let store = opened_again(&memory, &line).await;
    let ann = store.get::<Customer>("c-42").await.unwrap();
    assert_eq!(known(&ann.state().await.unwrap().name), ANN);
    line.cut();
    let error = store.forget("customer:42").await.unwrap_err();
    assert!(matches!(error, ForgetError::Key { .. }), "{error}");
    // It is not erased yet, and nothing new is sealed.
    assert_eq!(known(&ann.state().await.unwrap().name), ANN);
    let command = crate::support::recommend((42, ANN), (7, BOB));
    assert!(ann.send(command).await.is_err());
    line.mend();
    assert!(store.forget("customer:42").await.unwrap().had_key);
    assert!(ann.state().await.unwrap().name.is_erased());
}

/// The process ends before the erasure is told: the next one cannot even be opened before it is made good.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_was_interrupted_is_finished_when_the_store_is_opened() {
    let (memory, line, keys) = (Memory::default(), Line::default(), MemoryKeys::new());
    let store = builder(&memory, line.to(keys.clone()))
        .open()
        .await
        .unwrap();
    let ann = registered(&store, 42, ANN).await;
    store.projection::<Names>().unwrap();
    line.cut();
    assert!(store.forget("customer:42").await.is_err());
    store.shutdown().await.unwrap();
    drop((ann, store));
    let refused = builder(&memory, line.to(keys.clone()))
        .open()
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("the line is cut"), "{refused}");
    line.mend();
    let store = builder(&memory, line.to(keys)).open().await.unwrap();
    let ann = customer(&store, "c-42").await;
    assert!(ann.name.is_erased() && ann.greeting == "Dear (erased)");
    assert_eq!(
        store.projection::<Names>().unwrap().by_id["c-42"],
        "(erased)"
    );
}

struct Panics(MemoryKeys);

impl KeyStore for Panics {
    fn bind<'a>(&'a self, store: &'a str, is_new: bool) -> KeyFuture<'a, ()> {
        self.0.bind(store, is_new)
    }

    fn get<'a>(&'a self, _: &'a str) -> KeyFuture<'a, KeyState> {
        panic!("no key")
    }

    fn get_or_create<'a>(&'a self, _: &'a str) -> KeyFuture<'a, KeyState> {
        Box::pin(async {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            panic!("no key")
        })
    }

    fn destroy<'a>(&'a self, _: &'a str) -> KeyFuture<'a, bool> {
        Box::pin(std::future::ready(Err(KeyError::new("never"))))
    }
}

#[tokio::test]
async fn a_key_store_that_panics_is_one_that_cannot_be_reached() {
    let keys = Arc::new(Panics(MemoryKeys::new()));
    let store = AggregateStore::in_memory().keys(keys).open().await.unwrap();
    let customer = store.get::<Customer>("c-1").await.unwrap();
    let error = customer
        .send(crate::support::recommend((1, ANN), (2, BOB)))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the key store panicked"),
        "{error}"
    );
    customer.send(Visit).await.unwrap();
}
