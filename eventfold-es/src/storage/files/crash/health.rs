//! What the health and the metrics of a store say about a disk that fails.

use crate::storage::files::crash::{Account, EIO, ENOSPC, note, open, runtime, temp_dir};
use crate::storage::files::disk::faults::{Call, Fault, Watch};
use crate::{AggregateStore, ProblemKind};

fn kinds(store: &AggregateStore) -> Vec<ProblemKind> {
    let problems = store.health().problems;
    problems.iter().map(|problem| problem.kind).collect()
}

/// Runs a store whose calls fail, and shuts it down.
fn with_failing(test: impl AsyncFnOnce(&AggregateStore, &Watch)) {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        test(&store, &watch).await;
        let _ = store.shutdown().await;
    });
    watch.stop();
}

#[test]
fn a_store_on_a_full_disk_is_not_ready_until_a_command_is_stored() {
    with_failing(async |store, watch| {
        let account = store.get::<Account>("a0").await.expect("it is open");
        account.send(note(0)).await.expect("the disk works");
        let _ = store.layout(); // waits for the stream writer
        assert_eq!(kinds(store), []);
        watch.set_fault(Fault::lasting(Call::Write, ENOSPC));
        account.send(note(1)).await.expect_err("there is no space");
        let health = store.health();
        assert!(!health.is_ready());
        assert_eq!(kinds(store), [ProblemKind::DiskFull]);
        let text = health.to_string();
        assert!(text.contains("No space left on device"), "{text}");
        assert!(text.contains("make room"), "{text}");
        let log = store.metrics().log;
        assert_eq!((log.commits, log.failed_batches), (1, 1));

        watch.clear_fault();
        account.send(note(2)).await.expect("there is space");
        assert_eq!(kinds(store), []);
        let metrics = store.metrics();
        assert_eq!((metrics.log.commits, metrics.log.failed_batches), (2, 1));
        assert_eq!(
            (metrics.commands[0].succeeded, metrics.commands[0].failed),
            (2, 1)
        );
    });
}

#[test]
fn a_store_whose_sync_failed_is_not_ready_and_says_that_it_must_be_opened_again() {
    with_failing(async |store, watch| {
        let account = store.get::<Account>("a0").await.expect("it is open");
        watch.set_fault(Fault::lasting(Call::Sync, EIO));
        account.send(note(0)).await.expect_err("the sync fails");
        watch.clear_fault();
        let health = store.health();
        assert!(!health.is_ready());
        assert_eq!(kinds(store), [ProblemKind::Failed]);
        let text = health.to_string();
        assert!(text.contains("must be opened again"), "{text}");
        assert_eq!(store.metrics().log.failed_batches, 1);
    });
}

#[test]
fn a_stream_whose_file_cannot_be_written_is_named_and_does_not_block_the_store() {
    with_failing(async |store, watch| {
        let first = store.get::<Account>("a1").await.expect("it is open");
        first.send(note(1)).await.expect("the disk works");
        let _ = store.layout(); // waits for the stream writer
        watch.set_fault(Fault::lasting(Call::CreateDir, EIO));
        let account = store.get::<Account>("a0").await.expect("it is open");
        account.send(note(0)).await.expect("the journal works");
        let _ = store.layout();
        let health = store.health();
        assert!(health.is_ready());
        assert_eq!(kinds(store), [ProblemKind::StreamsRefused]);
        assert!(health.to_string().contains("account/a0"), "{health}");
        watch.clear_fault();
        account.send(note(4)).await.expect("the disk works");
        assert_eq!(kinds(store), []);
    });
}
