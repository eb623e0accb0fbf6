//! What happens where there is no more room: in the queues, and on the disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventfold_es::ExecuteError;
use tokio::task::JoinSet;

use crate::support::{
    Ledger, LedgerCommand as Do, LedgerEvent, child, eventually, in_time, stall, temp_dir, verify,
};

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn full_queues_slow_callers_down_and_hold_a_bounded_amount() {
    let dir = temp_dir();
    let store = crate::support::builder(dir.path()).open().await.unwrap();
    let stalled = stall(&store).await;
    let decided = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for i in 0..150 {
        let ledger = store.get::<Ledger>(&format!("l{}", i % 10)).await.unwrap();
        let decided = decided.clone();
        callers.spawn(async move {
            let command = Do::decide(move |_| {
                decided.fetch_add(1, Ordering::Relaxed);
                let text = "x".repeat(MIB);
                Ok(vec![LedgerEvent::Written { text }])
            });
            ledger.send(command).await.unwrap();
        });
    }
    // 64 MiB may wait for the disk, and each aggregate holds one commit that has to wait for that.
    eventually("the room is used up", || {
        decided.load(Ordering::Relaxed) >= 63
    })
    .await;
    for _ in 0..20_000 {
        tokio::task::yield_now().await;
    }
    let held = decided.load(Ordering::Relaxed);
    assert!(
        held <= 63 + 10,
        "{held} MiB are held for a disk that stands still"
    );

    drop(stalled);
    in_time("all callers are answered", callers.join_all()).await;
    assert_eq!(decided.load(Ordering::Relaxed), 150);
    store.shutdown().await.unwrap();
}

/// Writes until the system lets no file grow any more, and says what was answered.
pub(crate) async fn write_until_no_file_may_grow(dir: &Path) {
    let store = crate::support::builder(dir).open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let mut refused = 0;
    while refused < 3 {
        let text = "x".repeat(20_000);
        match ledger.send(Do::Write(text)).await {
            Ok(done) => child::say(format!("stored {}", done.version)),
            Err(ExecuteError::Io(error)) => {
                refused += 1;
                child::say(format!("refused {error}"));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(
        store.shutdown().await.is_err(),
        "the next open has something to do"
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn commands_are_refused_and_nothing_is_lost_once_no_file_may_grow() {
    let dir = temp_dir();
    let mut writer = child::start_with_small_files("write until no file may grow", dir.path());
    let (mut stored, mut refused) = (0, 0);
    while let Some(said) = writer.hear() {
        match said.split_once(' ') {
            Some(("stored", version)) => {
                assert_eq!(refused, 0, "stored after a command was refused");
                stored = version.parse().unwrap();
            }
            Some(("refused", _)) => refused += 1,
            _ => panic!("{said}"),
        }
    }
    writer.finish();
    assert_eq!(refused, 3);
    assert!(stored > 20, "{stored} commands fit");

    let store = crate::support::builder(dir.path()).open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.version().await.unwrap(), stored);
    let done = ledger.send(Do::Add(1)).await.unwrap();
    assert_eq!(done.version, stored + 1);
    store.shutdown().await.unwrap();
    verify(dir.path());
}
