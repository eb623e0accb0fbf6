//! Snapshots of streams whose events are of every form: older versions, split ones, retired ones.

use std::path::Path;

use serde_json::json;

use super::domain::{Deposit, Held, Wallet1, Wallet2, Wallet3, Wallet6};
use super::{deposit, deposit6, load, snapshot_file, stream_file, write_foreign};
use crate::support::files::edit;
use crate::support::{TempDir, open, temp_dir};

/// A stream of four programs and another one's lines, in the state that today's makes of it.
async fn every_form() -> (TempDir, Wallet6) {
    let dir = temp_dir();
    let frozen = json!({ "type": "Frozen", "data": { "by": "ann" }, "ts": 1 });
    let deposited = json!({ "type": "Deposited", "data": 1, "ts": 1 });
    write_foreign(dir.path(), &[deposited]);
    deposit::<Wallet1>(&dir, &[2]).await;
    deposit::<Wallet2>(&dir, &[3]).await;
    deposit::<Wallet3>(&dir, &[4, 5]).await;
    // A program between them knew this one.
    let store = open(&dir).await;
    let event = serde_json::from_value(frozen).unwrap();
    let wallet = store.get::<Wallet6>("a").await.unwrap();
    wallet.send(Deposit(vec![6])).await.unwrap();
    store
        .inject_event::<Wallet6>("a", event, eventfold_es::InjectOptions::default())
        .await
        .unwrap();
    store.shutdown().await.unwrap();
    let wallet = Wallet6 {
        held: Held::of(1..=6),
        thanked: 5,
    };
    (dir, wallet)
}

fn snapshot_version(base: &Path) -> Option<u64> {
    let snapshot = std::fs::read(snapshot_file(base)).ok()?;
    let snapshot: serde_json::Value = serde_json::from_slice(&snapshot).unwrap();
    (snapshot["state_version"] == 2).then(|| snapshot["version"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_alone_a_snapshot_alone_and_both_give_the_same_state() {
    let (dir, wallet) = every_form().await;
    let _ = std::fs::remove_file(snapshot_file(dir.path()));
    assert_eq!(load::<Wallet6>(&dir).await.unwrap(), (wallet.clone(), 7));

    // That load left a snapshot of all. It is read: the events before it could not be.
    assert_eq!(snapshot_version(dir.path()), Some(7));
    edit(&stream_file(dir.path()), |bytes| bytes[10] ^= 1);
    assert_eq!(load::<Wallet6>(&dir).await.unwrap(), (wallet.clone(), 7));
    edit(&stream_file(dir.path()), |bytes| bytes[10] ^= 1);

    // And newer events behind it.
    deposit6(&dir).await;
    assert_eq!(snapshot_version(dir.path()), Some(7));
    let newer = load::<Wallet6>(&dir).await.unwrap();
    std::fs::remove_file(snapshot_file(dir.path())).unwrap();
    assert_eq!(load::<Wallet6>(&dir).await.unwrap(), newer);
    assert_eq!(
        (newer.0.held, newer.1),
        (Held::of([1, 2, 3, 4, 5, 6, 2]), 8)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_does_not_fit_is_ignored_and_replaced() {
    let (dir, wallet) = every_form().await;
    // Of an older program, with another version of the state.
    let (other, _) = every_form().await;
    let older = temp_dir();
    deposit::<Wallet1>(&older, &[7, 7, 7]).await;
    let of_older = std::fs::read(snapshot_file(older.path())).unwrap();
    // Ahead of the log, and of another one.
    deposit6(&other).await;
    let _ = std::fs::remove_file(snapshot_file(other.path()));
    load::<Wallet6>(&other).await.unwrap();
    let ahead = std::fs::read(snapshot_file(other.path())).unwrap();

    let file = snapshot_file(dir.path());
    let _ = std::fs::remove_file(&file);
    load::<Wallet6>(&dir).await.unwrap();
    let own = std::fs::read(&file).unwrap();
    let mut corrupt = own.clone();
    corrupt[20] ^= 1;
    for unfit in [
        of_older,
        ahead,
        corrupt,
        own[..own.len() - 1].to_vec(),
        Vec::new(),
    ] {
        std::fs::write(&file, &unfit).unwrap();
        assert_eq!(load::<Wallet6>(&dir).await.unwrap(), (wallet.clone(), 7));
        assert_eq!(std::fs::read(&file).unwrap(), own, "it is replaced");
    }
}
