//! The read model is killed at any moment, again and again, and is exact in the end.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use eventfold_es::AggregateStore;

use crate::accounts::{Account, Accounts};
use crate::bank::BankAccount;
use crate::{follow, send};

const DIR: &str = "EVENTFOLD_ES_READ_MODEL_DIR";

/// What the table must be, by the aggregates themselves.
async fn expected(store: &AggregateStore) -> Vec<Account> {
    let mut expected = Vec::new();
    for id in store.list::<BankAccount>().await.unwrap() {
        let account = store.get::<BankAccount>(&id).await.unwrap();
        let balance = account.state().await.unwrap().balance;
        let events: u64 = account.version().await.unwrap().into();
        expected.push(Account {
            id,
            balance: balance.try_into().unwrap(),
            events: events.try_into().unwrap(),
        });
    }
    expected
}

fn in_database(dir: &Path) -> Vec<Account> {
    Accounts::open(&dir.join("accounts.sqlite"))
        .unwrap()
        .all()
        .unwrap()
}

/// Lets the read model catch up with the store, which is closed.
async fn catch_up(dir: &Path) -> Vec<Account> {
    let store = AggregateStore::open(dir.join("events")).await.unwrap();
    let expected = expected(&store).await;
    // What it began with is delivered, whenever the store is shut down.
    let following = follow(&store, dir, |_| Ok(())).unwrap();
    store.shutdown().await.unwrap();
    following.await.unwrap().unwrap();
    expected
}

#[test]
#[ignore = "started by the test below, in a process of its own"]
fn works_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let dir = Path::new(&dir);
        let store = AggregateStore::open(dir.join("events")).await.unwrap();
        let _following = follow(&store, dir, |_| {
            let mut out = std::io::stdout().lock();
            writeln!(out, "committed")?;
            Ok(out.flush()?)
        })
        .unwrap();
        for number in 0.. {
            send(&store, number).await.unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_is_killed_at_any_moment_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::works_until_it_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let commits = output.lines().map_while(Result::ok);
        let commits = commits.filter(|line| line == "committed");
        assert_eq!(commits.take(5 + round * 7).count(), 5 + round * 7);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let expected = catch_up(dir.path()).await;
    assert!(expected.iter().map(|account| account.events).sum::<i64>() > 100);
    assert_eq!(in_database(dir.path()), expected);

    // Nothing is left to do, and nothing is done twice.
    assert_eq!(catch_up(dir.path()).await, expected);
    assert_eq!(in_database(dir.path()), expected);

    // A database that was lost is filled again.
    std::fs::remove_file(dir.path().join("accounts.sqlite")).unwrap();
    catch_up(dir.path()).await;
    assert_eq!(in_database(dir.path()), expected);
}
