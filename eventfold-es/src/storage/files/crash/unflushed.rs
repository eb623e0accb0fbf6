//! Streams whose files cannot be written for a while: what was answered is seen everywhere all the
//! same, what comes next is refused in time, and nobody's file is overwritten.

use std::path::Path;
use std::sync::Arc;

use crate::storage::files::crash::{Account, ENOSPC, check, id, note, open, runtime, temp_dir};
use crate::storage::files::disk::faults::{Call, Fault, Watch};
use crate::{AggregateStore, ExecuteError, InjectOptions};

/// From now on no file or directory can be created.
fn refuse_new_files(watch: &Watch, call: Call) {
    watch.set_fault(Fault::lasting(call, ENOSPC));
}

async fn send(
    store: &AggregateStore,
    number: u64,
) -> Result<u64, ExecuteError<std::convert::Infallible>> {
    let account = store.get::<Account>(&id(number)).await?;
    account
        .send(note(number))
        .await
        .map(|done| done.version.into())
}

fn directory() -> (tempfile::TempDir, Arc<Watch>) {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    (dir, watch)
}

/// A store with one stream, `a0`, so that the directory of its type is there.
async fn with_one_stream(dir: &Path) -> AggregateStore {
    let store = open(dir).await.expect("the disk works");
    send(&store, 0).await.expect("the disk works");
    let _ = store.layout();
    store
}

#[test]
fn a_new_stream_without_a_file_is_listed_read_and_loaded() {
    for call in [Call::CreateDir, Call::Open] {
        let (dir, watch) = directory();
        runtime().block_on(async {
            let store = with_one_stream(dir.path()).await;
            refuse_new_files(&watch, call);
            // It is durable, so it stands.
            let version = send(&store, 1).await.expect("the journal has it");
            let _ = store.layout();
            assert!(!watch.clear_fault().is_empty(), "no {call:?} failed");
            assert!(!dir.path().join("streams/account/a1/app.jsonl").exists());

            let streams = store.list_streams(None).await.expect("a list");
            assert!(streams.contains(&("account".to_owned(), "a1".to_owned())));
            assert_eq!(store.list::<Account>().await.expect("a list"), ["a0", "a1"]);
            let events = store.read_events("account", "a1").await.expect("events");
            assert_eq!(events.len() as u64, version);
            // Also by an activation of its own.
            let account = store.get::<Account>("a1").await.expect("it is open");
            for resident in store.inner.registry.all() {
                resident.retire();
            }
            let state = account.state().await.expect("a state");
            assert_eq!(state.numbers.len() as u64, version);

            // It works again once its file can be written.
            send(&store, 5).await.expect("the disk works");
            store.shutdown().await.expect("in order");
        });
        watch.stop();
        runtime()
            .block_on(check(dir.path(), &[0, 1, 5]))
            .expect("it is all there");
    }
}

#[test]
fn an_injected_event_is_stored_once_and_read_although_its_file_cannot_be_written() {
    let (dir, watch) = directory();
    runtime().block_on(async {
        let store = with_one_stream(dir.path()).await;
        refuse_new_files(&watch, Call::CreateDir);
        let data = serde_json::json!({ "number": 1, "padding": "" });
        let event = eventfold::Event::new("Noted", data).with_id("e-1");
        for _ in 0..2 {
            let options = InjectOptions::default();
            let injected = store.inject_event::<Account>("a1", event.clone(), options);
            injected.await.expect("the journal has it");
            let events = store.read_events("account", "a1").await.expect("events");
            assert_eq!(events, std::slice::from_ref(&event));
        }
        assert!(!watch.clear_fault().is_empty(), "nothing failed");
        store.shutdown().await.expect("in order");
    });
    watch.stop();
}

#[test]
fn no_new_stream_is_stored_while_the_file_of_another_cannot_be_created() {
    let (dir, watch) = directory();
    runtime().block_on(async {
        let store = with_one_stream(dir.path()).await;
        refuse_new_files(&watch, Call::CreateDir);
        send(&store, 1).await.expect("the journal has it");
        let _ = store.layout();
        let head = store.head();
        for number in [1, 2, 3] {
            let refused = send(&store, number)
                .await
                .expect_err("it cannot be created");
            assert!(matches!(refused, ExecuteError::Io(_)), "{refused:?}");
            assert!(refused.to_string().contains("cannot create"), "{refused}");
        }
        assert_eq!(store.head(), head, "something of them is in the journal");
        // A stream that has its file is not concerned.
        send(&store, 4).await.expect("the disk works for it");

        watch.clear_fault();
        for number in [5, 6, 7] {
            send(&store, number).await.expect("the disk works");
        }
        store.shutdown().await.expect("in order");
    });
    watch.stop();
    let answered = [0, 1, 4, 5, 6, 7];
    runtime()
        .block_on(check(dir.path(), &answered))
        .expect("it is all there");
}

#[test]
fn a_file_that_another_program_has_created_is_not_overwritten() {
    let (dir, watch) = directory();
    runtime().block_on(async {
        let store = with_one_stream(dir.path()).await;
        refuse_new_files(&watch, Call::CreateDir);
        send(&store, 1).await.expect("the journal has it");
        let _ = store.layout();
        watch.clear_fault();
        let theirs = dir.path().join("streams/account/a1");
        std::fs::create_dir(&theirs).expect("a directory");
        let theirs = theirs.join("app.jsonl");
        let line = b"{\"type\":\"Noted\",\"data\":{\"number\":9,\"padding\":\"\"},\"ts\":1}\n";
        std::fs::write(&theirs, line).expect("a file");

        let refused = send(&store, 5).await.expect_err("the file is another's");
        assert!(
            refused.to_string().contains("changed by another program"),
            "{refused}"
        );
        assert_eq!(std::fs::read(&theirs).expect("their file"), line);
        send(&store, 4).await.expect("others are not concerned");

        std::fs::remove_file(&theirs).expect("it is there");
        send(&store, 5).await.expect("it is out of the way");
        store.shutdown().await.expect("in order");
    });
    watch.stop();
    runtime()
        .block_on(check(dir.path(), &[0, 1, 4, 5]))
        .expect("it is all there");
}

#[test]
fn a_stream_whose_path_is_taken_is_refused_before_anything_is_stored() {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = with_one_stream(dir.path()).await;
        let head = store.head();
        // The place of its directory is taken, or that of its file.
        let streams = dir.path().join("streams/account");
        std::fs::write(streams.join("a1"), b"").expect("a file");
        std::fs::create_dir_all(streams.join("a2/app.jsonl")).expect("a directory");
        for number in [1, 2] {
            send(&store, number).await.expect_err("its place is taken");
        }
        assert_eq!(store.head(), head, "something of them is in the journal");
        std::fs::remove_file(streams.join("a1")).expect("it is there");
        std::fs::remove_dir(streams.join("a2/app.jsonl")).expect("it is there");
        for number in [1, 2] {
            send(&store, number).await.expect("its place is free");
        }
        store.shutdown().await.expect("in order");
    });
    runtime()
        .block_on(check(dir.path(), &[0, 1, 2]))
        .expect("it is all there");
}

#[test]
fn a_file_that_appears_between_activation_and_the_first_command_is_noticed() {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = with_one_stream(dir.path()).await;
        let account = store.get::<Account>("a3").await.expect("it is open");
        assert!(account.state().await.expect("a state").numbers.is_empty());
        let theirs = dir.path().join("streams/account/a3");
        std::fs::create_dir(&theirs).expect("a directory");
        let single = (0..100)
            .find(|number| note(*number).count == 1)
            .expect("there is one");
        let line = format!(
            "{{\"type\":\"Noted\",\"data\":{{\"number\":{single},\"padding\":\"\"}},\"ts\":1}}\n"
        );
        std::fs::write(theirs.join("app.jsonl"), line).expect("a file");

        let head = store.head();
        let refused = send(&store, 3).await.expect_err("the file was not there");
        assert!(
            refused.to_string().contains("changed by another program"),
            "{refused}"
        );
        assert_eq!(store.head(), head, "something of it is in the journal");
        let refused = send(&store, 3).await.expect_err("it is still there");
        assert!(refused.to_string().contains("AggregateStore::repair"));
        store.shutdown().await.expect("in order");
        let report = AggregateStore::repair(dir.path()).await.expect("a report");
        assert!(report.is_success(), "{report}");

        let store = open(dir.path()).await.expect("in order");
        send(&store, 3).await.expect("their line is entered");
        let account = store.get::<Account>("a3").await.expect("it is open");
        let state = account.state().await.expect("a state");
        assert_eq!(state.numbers[..2], [single, 3]);
        store.shutdown().await.expect("in order");
    });
    runtime()
        .block_on(check(dir.path(), &[0, 3]))
        .expect("it is all there");
}

#[cfg(unix)]
#[test]
fn a_stream_in_a_read_only_directory_is_refused_before_anything_is_stored() {
    use std::os::unix::fs::PermissionsExt;

    let dir = temp_dir();
    runtime().block_on(async {
        let store = with_one_stream(dir.path()).await;
        let head = store.head();
        let streams = dir.path().join("streams/account");
        let allow = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&streams, permissions).expect("it is ours");
        };
        allow(0o500);
        if std::fs::create_dir(streams.join("probe")).is_ok() {
            // Permissions bind nobody here.
            std::fs::remove_dir(streams.join("probe")).expect("it was just made");
        } else {
            send(&store, 1)
                .await
                .expect_err("nothing can be created there");
            assert_eq!(store.head(), head, "something of it is in the journal");
        }
        allow(0o700);
        send(&store, 1).await.expect("it can be created");
        store.shutdown().await.expect("in order");
    });
}
