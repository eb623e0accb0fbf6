//! What `forget` leaves: nothing of the person, and everything else.

use std::time::Duration;

use eventfold_es::personal::{KeyStore, MemoryKeys};
use eventfold_es::{AggregateStore, ForgetError, StreamId};

use crate::domain::{Customer, Letters, Names, Visit, known};
use crate::support::{ANN, BOB, MAIL, Place, customer, recommend, register, registered};

async fn greet(store: &AggregateStore) {
    store.run_process_managers().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_is_erased_wherever_it_was() {
    let place = Place::new();
    let store = place.open().await;
    let ann = registered(&store, 42, ANN).await;
    let bob = registered(&store, 7, BOB).await;
    bob.send(Visit).await.unwrap();
    greet(&store).await;
    assert_eq!(known(&ann.state().await.unwrap().name), ANN);
    assert_eq!(store.projection::<Names>().unwrap().by_id["c-42"], ANN);

    let forgotten = store.forget("customer:42").await.unwrap();
    assert!(forgotten.had_key);
    // The letter has the data of Ann too, since the process manager passed it on.
    assert_eq!(forgotten.events, 2);
    let of = |aggregate_type, id| StreamId::new(aggregate_type, id).unwrap();
    assert_eq!(
        forgotten.aggregates,
        [of("customer", "c-42"), of("letters", "sent")]
    );
    assert_eq!(forgotten.projections, ["names"]);

    let check = async |store: &AggregateStore| {
        let ann = customer(store, "c-42").await;
        assert!(ann.name.is_erased() && ann.email.is_erased());
        assert_eq!(ann.greeting, "Dear (erased)");
        let bob = customer(store, "c-7").await;
        assert_eq!(
            (known(&bob.name), &*bob.greeting, bob.visits),
            (BOB, "Dear Bob Somewhere", 1)
        );
        let names = store.projection::<Names>().unwrap();
        assert_eq!(
            (&*names.by_id["c-42"], &*names.by_id["c-7"]),
            ("(erased)", BOB)
        );
        let letters = store
            .get::<Letters>("sent")
            .await
            .unwrap()
            .state()
            .await
            .unwrap();
        let to: Vec<_> = letters.to.iter().map(known).collect();
        assert_eq!(to, ["(erased)", BOB]);
    };
    check(&store).await;
    let again = store.forget("customer:42").await.unwrap();
    assert!(!again.had_key && again.events == 2);
    store.shutdown().await.unwrap();
    drop((ann, bob, store));
    let store = place.open().await;
    check(&store).await;
}

/// Every file, from the first command to the end of the store, with backups from before and after.
#[tokio::test(flavor = "multi_thread")]
async fn the_plaintext_is_in_no_file_after_it_was_forgotten() {
    let place = Place::new();
    let store = place.open().await;
    register(&store, 42, ANN).await;
    register(&store, 7, BOB).await;
    greet(&store).await;
    store.projection::<Names>().unwrap();
    store.backup(place.path().join("before")).await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    // What a program makes of it as plain text is in what is derived, and nowhere else.
    let (files, _) = place.files_with(ANN);
    assert_eq!(
        files,
        [
            "data/projections/names/journal_checkpoint.json",
            "data/streams/customer/c-42/views/state.snapshot.json"
        ]
    );
    assert_eq!(place.files_with(MAIL).0, [""; 0]);
    // Attempts to save them that were interrupted.
    for file in &files {
        let file = place.path().join(file);
        std::fs::copy(&file, format!("{}.tmp", file.display())).unwrap();
    }

    let store = place.open().await;
    store.forget("customer:42").await.unwrap();
    store.backup(place.path().join("after")).await.unwrap();
    let (files, all) = place.files_with(ANN);
    assert_eq!(files, [""; 0], "of {all} files");
    greet(&store).await;
    register(&store, 8, BOB).await;
    store.shutdown().await.unwrap();
    drop(store);
    let (files, all) = place.files_with(ANN);
    assert_eq!(files, [""; 0], "of {all} files");
    assert!(all > 20, "{all} files");
    // The others are all there.
    assert_eq!(place.files_with(BOB).0.len(), 3);
    let report = AggregateStore::verify(place.data()).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_from_a_backup_that_is_older_does_not_bring_it_back() {
    let place = Place::new();
    let store = place.open().await;
    register(&store, 42, ANN).await;
    register(&store, 7, BOB).await;
    store.backup(place.path().join("before")).await.unwrap();
    store.forget("customer:42").await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let restored = Place::new();
    let from = place.path().join("before");
    AggregateStore::restore(from, restored.data())
        .await
        .unwrap();
    let store = AggregateStore::builder(restored.data())
        .keys(place.keys())
        .projection::<Names>()
        .open()
        .await
        .unwrap();
    let ann = customer(&store, "c-42").await;
    assert!(ann.name.is_erased());
    let names = store.projection::<Names>().unwrap();
    assert_eq!(
        (&*names.by_id["c-42"], &*names.by_id["c-7"]),
        ("(erased)", BOB)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_event_with_two_subjects_only_one_is_erased() {
    let place = Place::new();
    let store = place.open().await;
    let customer = store.get::<Customer>("c-42").await.unwrap();
    customer.send(recommend((42, ANN), (7, BOB))).await.unwrap();
    store.forget("customer:42").await.unwrap();
    let state = customer.state().await.unwrap();
    assert_eq!(state.friend.as_ref().map(known), Some(BOB));
    assert_eq!(
        store.projection::<Names>().unwrap().by_id["c-42"],
        "(erased)"
    );
    store.forget("customer:7").await.unwrap();
    assert!(customer.state().await.unwrap().friend.unwrap().is_erased());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_is_stored_about_a_forgotten_subject() {
    let place = Place::new();
    let store = place.open().await;
    let ann = registered(&store, 42, ANN).await;
    store.forget("customer:42").await.unwrap();
    let version = ann.send(Visit).await.unwrap().version;
    let again = crate::domain::Register {
        customer: 42,
        name: ANN.to_owned(),
        email: MAIL.to_owned(),
    };
    let refused = ann.send(again).await.unwrap_err().to_string();
    assert!(
        refused.contains("the personal data of `customer:42` was erased"),
        "{refused}"
    );
    assert_eq!(
        u64::from(ann.send(Visit).await.unwrap().version),
        u64::from(version) + 1
    );
    // One of whom nothing was ever stored gets no key either.
    assert!(!store.forget("customer:9").await.unwrap().had_key);
    let nine = store.get::<Customer>("c-9").await.unwrap();
    assert!(nine.send(recommend((9, ANN), (7, BOB))).await.is_err());
}

/// Commands about a subject race with its end: each is refused, or stored with data that is erased.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_that_race_with_forget_leave_nothing_behind() {
    let place = Place::new();
    let store = place.open().await;
    for subject in 0..12_u64 {
        let tasks: Vec<_> = (0..4)
            .map(|task| {
                let store = store.clone();
                tokio::spawn(async move {
                    let customer = store
                        .get::<Customer>(&format!("c-{subject}-{task}"))
                        .await
                        .unwrap();
                    let mut stored = 0_u64;
                    loop {
                        let command = crate::domain::Register {
                            customer: subject,
                            name: format!("{ANN} {subject}"),
                            email: MAIL.to_owned(),
                        };
                        match customer.send(command).await {
                            Ok(_) => stored += 1,
                            Err(_) => return (customer, stored),
                        }
                        store.read(|names: &Names| names.by_id.len()).await.unwrap();
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(subject)).await;
        store.forget(&format!("customer:{subject}")).await.unwrap();
        let name = format!("{ANN} {subject}");
        assert_eq!(place.files_with(&name).0, [""; 0], "directly after it");
        for task in tasks {
            let (customer, stored) = task.await.unwrap();
            let state = customer.state().await.unwrap();
            assert!(
                stored == 0 || state.greeting == "Dear (erased)",
                "{}",
                state.greeting
            );
            assert!(stored == 0 || state.name.is_erased());
        }
        let names = store.projection::<Names>().unwrap();
        assert!(
            names.by_id.values().all(|name| name == "(erased)"),
            "{names:?}"
        );
    }
    store.shutdown().await.unwrap();
    assert_eq!(place.files_with(ANN).0, [""; 0]);
}

/// Aggregates that are loaded from their snapshots meanwhile have what was made of the data only until it is
/// forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn aggregates_that_are_loaded_meanwhile_have_nothing_of_it() {
    let place = Place::new();
    let store = place.open().await;
    let ids: Vec<String> = (0..200).map(|number| format!("v-{number}")).collect();
    let register = crate::domain::Register {
        customer: 42,
        name: ANN.to_owned(),
        email: MAIL.to_owned(),
    };
    for id in &ids {
        store
            .get::<Customer>(id)
            .await
            .unwrap()
            .send(register.clone())
            .await
            .unwrap();
    }
    store.shutdown().await.unwrap();
    drop(store);
    assert!(place.files_with(ANN).0.len() > 100, "there are snapshots");
    let store = place.open().await;
    let loads: Vec<_> = ids
        .chunks(50)
        .map(|ids| {
            let (store, ids) = (store.clone(), ids.to_owned());
            tokio::spawn(async move {
                for id in ids {
                    let customer = store.get::<Customer>(&id).await.unwrap();
                    customer.send(Visit).await.unwrap();
                }
            })
        })
        .collect();
    store.forget("customer:42").await.unwrap();
    for load in loads {
        load.await.unwrap();
    }
    for id in &ids {
        let state = customer(&store, id).await;
        assert_eq!(
            (&*state.greeting, state.visits),
            ("Dear (erased)", 1),
            "{id}"
        );
    }
    store.shutdown().await.unwrap();
    assert_eq!(place.files_with(ANN).0, [""; 0]);
}

#[tokio::test]
async fn an_erasure_leaves_the_snapshots_of_another_store_of_the_process_alone() {
    let (here, there) = (Place::new(), Place::new());
    let (store, other) = (here.open().await, there.open().await);
    register(&store, 42, ANN).await;
    let bob = registered(&other, 7, BOB).await;
    store.forget("customer:42").await.unwrap();
    bob.send(Visit).await.unwrap();
    other.shutdown().await.unwrap();
    drop((bob, other));
    let snapshot = there
        .data()
        .join("streams/customer/c-7/views/state.snapshot.json");
    let snapshot = std::fs::read_to_string(snapshot).unwrap();
    assert!(snapshot.contains("\"visits\":1"), "{snapshot}");
}

#[tokio::test]
async fn a_store_without_keys_and_names_that_no_subject_has_are_refused() {
    let store = AggregateStore::in_memory().open().await.unwrap();
    assert!(matches!(
        store.forget("customer:42").await,
        Err(ForgetError::NoKeys)
    ));
    let keys = MemoryKeys::new();
    let store = AggregateStore::in_memory()
        .keys(keys.clone())
        .open()
        .await
        .unwrap();
    for name in ["", "a\nb"] {
        assert!(matches!(
            store.forget(name).await,
            Err(ForgetError::Subject(_))
        ));
    }
    let _: &dyn KeyStore = &keys;
}

#[tokio::test]
async fn a_store_in_memory_forgets_too() {
    let keys = MemoryKeys::new();
    let builder = AggregateStore::in_memory().keys(keys);
    let store = builder.projection::<Names>().open().await.unwrap();
    let ann = registered(&store, 42, ANN).await;
    assert_eq!(store.projection::<Names>().unwrap().by_id["c-42"], ANN);
    let forgotten = store.forget("customer:42").await.unwrap();
    assert_eq!((forgotten.events, forgotten.snapshots), (1, 1));
    assert_eq!(ann.state().await.unwrap().greeting, "Dear (erased)");
    assert_eq!(
        store.projection::<Names>().unwrap().by_id["c-42"],
        "(erased)"
    );
}
