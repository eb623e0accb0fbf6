//! A directory that 0.2.0 wrote, kept under version control.
//!
//! `EVENTFOLD_BLESS=1 cargo test -p eventfold-es-tests golden` writes it again.

use std::collections::BTreeMap;
use std::path::Path;

use super::domain::{Account, AccountCommand, Deposits, Log, UNLUCKY, current, published};
use super::files::{copy, wait_until_released};

/// Ids that are legal and odd, with what is deposited under them.
const ACCOUNTS: [(&str, &[u64]); 6] = [
    ("50%25", &[1]),
    ("a/b", &[2, 3]),
    ("alice", &[4, 5, UNLUCKY, 6]),
    ("-", &[7]),
    ("with space", &[8]),
    ("ünï", &[9, 10]),
];

/// Writes the directory: snapshots everywhere, a projection that is behind, a process manager that has
/// seen all but the last event.
async fn bless(base: &Path) {
    if base.exists() {
        std::fs::remove_dir_all(base).unwrap();
    }
    let store = published::open(base).await;
    for (id, amounts) in ACCOUNTS {
        published::deposit(&store, id, amounts).await;
    }
    store.projection::<Log>().unwrap();
    published::run(&store).await;
    let open = AccountCommand::Open("Alice".to_owned());
    published::execute(&store, "alice", open).await;
    published::deposit(&store, "alice", &[11]).await;
    store.projection::<Deposits>().unwrap();
    drop(store);
    wait_until_released(base);
}

#[tokio::test]
async fn a_golden_directory_of_0_2_0_opens_with_everything_in_it() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/0.2.0");
    if std::env::var_os("EVENTFOLD_BLESS").is_some() {
        bless(&golden).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("copy");
    copy(&golden, &base);

    let mut expected: BTreeMap<String, Vec<u64>> = ACCOUNTS
        .iter()
        .map(|(id, amounts)| ((*id).to_owned(), amounts.to_vec()))
        .collect();
    expected.get_mut("alice").unwrap().push(11);
    // Twice: when it is taken over, and as a directory of this version.
    for round in 0..2_u64 {
        let store = current::open(&base).await;
        for (id, deposits) in &expected {
            let account = current::account(&store, id).await;
            assert_eq!(&account.deposits, deposits, "{id}");
        }
        let alice: Account = current::account(&store, "alice").await;
        assert_eq!(alice.owner.as_deref(), Some("Alice"));
        assert_eq!(store.projection::<Deposits>().unwrap().0, expected);
        assert_eq!(store.list::<Account>().await.unwrap().len(), ACCOUNTS.len());

        // Only what it had not seen, nothing again. 0.2.0 never finds `a/b`, which has two.
        let (dispatched, _) = current::run(&store).await;
        assert_eq!(dispatched, if round == 0 { 3 } else { 1 });
        let mut recorded: Vec<u64> = current::ledger(&store).await.iter().map(|e| e.1).collect();
        recorded.sort_unstable();
        let mut deposited: Vec<u64> = expected.values().flatten().copied().collect();
        deposited.retain(|amount| *amount != UNLUCKY);
        deposited.sort_unstable();
        assert_eq!(recorded, deposited);
        let log = store.projection::<Log>().unwrap();
        let all = expected.values().flatten().count() + recorded.len() + 1;
        assert_eq!(log.0.len(), all);
        assert_eq!(all.to_string(), store.head().to_string());

        current::deposit(&store, "a/b", &[20 + round]).await;
        expected.get_mut("a/b").unwrap().push(20 + round);
        store.shutdown().await.unwrap();
    }
}
